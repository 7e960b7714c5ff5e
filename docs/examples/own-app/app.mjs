// A whole phone application: it answers every call and says back what it hears.
import { createServer } from "node:http";
import { CallAutomationClient } from "@azure/communication-call-automation";
import { WebSocketServer } from "ws";

const port = Number(process.env.PORT);
const here = `127.0.0.1:${port}`;

// Azure's endpoint is https, and the SDK takes nothing else unless it is told to.
const client = new CallAutomationClient(process.env.ACS_CONNECTION_STRING, { allowInsecureConnection: true });

const server = createServer(async (request, response) => {
  try {
    const events = JSON.parse(await text(request));
    const answer = request.url === "/events" ? await onEvents(events) : onCallbacks(events);
    response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(answer));
  } catch (error) {
    console.error(error.message);
    response.writeHead(500).end();
  }
});

// Event Grid: first the handshake of the subscription, then calls.
async function onEvents(events) {
  for (const { eventType, data } of events) {
    if (eventType === "Microsoft.EventGrid.SubscriptionValidationEvent") {
      return { validationResponse: data.validationCode };
    }
    if (eventType === "Microsoft.Communication.IncomingCall") {
      await client.answerCall(data.incomingCallContext, `http://${here}/callbacks`, {
        mediaStreamingOptions: {
          transportUrl: `ws://${here}/media`,
          transportType: "websocket",
          contentType: "audio",
          audioChannelType: "mixed",
          audioFormat: "pcm16KMono",
          startMediaStreaming: true,
          enableBidirectional: true,
        },
      });
    }
  }
  return {};
}

// Call Automation's events about an answered call.
function onCallbacks(events) {
  for (const { type } of events) console.log(type);
  return {};
}

// The media socket: every frame that is not silence goes back to the caller.
new WebSocketServer({ server, path: "/media" }).on("connection", (socket) => {
  socket.on("error", (error) => console.error(error.message));
  socket.on("message", (message) => {
    const { kind, audioData } = JSON.parse(message);
    if (kind === "AudioData" && !audioData.silent) {
      socket.send(JSON.stringify({ kind, audioData: { data: audioData.data } }));
    }
  });
});

async function text(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

server.listen(port, "127.0.0.1", () => console.log(`own-app listens on ${here}`));
