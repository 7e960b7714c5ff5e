"""Key Vault secrets over HTTPS, as far as the real secret client needs them."""
