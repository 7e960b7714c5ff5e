# The media gateway. The base may be pinned: --build-arg BASE=docker.io/library/python:3.12-slim-bookworm@sha256:...
ARG BASE=docker.io/library/python:3.12-slim-bookworm

FROM ${BASE} AS build
WORKDIR /build
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
RUN pip install --no-cache-dir uv==0.13.8
COPY pyproject.toml requirements-dev.txt ./
# Wheels only: nothing of others is compiled. The versions are those that the tests ran with.
RUN python -m venv --without-pip /venv \
    && uv pip install --python /venv/bin/python --no-cache --only-binary :all: --compile-bytecode \
    --constraints requirements-dev.txt --requirements pyproject.toml --extra media \
    && uv pip install --python /venv/bin/python --no-cache --only-binary :all: --target mypyc \
    --constraints requirements-dev.txt mypy setuptools
COPY tools/compile.py tools/
COPY shared shared
COPY media_gateway media_gateway
RUN PYTHONPATH=/build/mypyc /venv/bin/python tools/compile.py /app \
    && python -m compileall -q --invalidation-mode unchecked-hash /app

FROM ${BASE}
COPY --from=build /venv /venv
COPY --from=build /app /app
WORKDIR /app
# Nothing is written but to RECORDING_SPILL_DIR, so the root may be read-only.
ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001:10001
EXPOSE 8063
# As process 1 it gets SIGTERM itself, drains for DRAIN_S, and ends.
STOPSIGNAL SIGTERM
ENTRYPOINT ["python", "-m", "media_gateway"]
