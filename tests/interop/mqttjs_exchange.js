// Subscribes at QoS 2, publishes at 0, 1 and 2, prints what came as JSON. Told in one JSON argument.
const mqtt = require("mqtt");
const told = JSON.parse(process.argv[2]);
const client = mqtt.connect(told.url, {
  protocolVersion: told.version,
  clientId: told.topic,
  ca: told.ca && require("fs").readFileSync(told.ca),
  reconnectPeriod: 0,
});
const heard = [];
let ending = false; // then the server may close before our last frame is written
const fail = (error) => {
  if (ending) return;
  console.error(error);
  process.exit(1);
};
client.on("error", fail);
client.on("message", (topic, payload, packet) => {
  heard.push([topic, payload.toString(), packet.qos]);
  if (heard.length === 3) {
    ending = true;
    client.end(false, {}, () => console.log(JSON.stringify(heard)));
  }
});
client.on("connect", () =>
  client.subscribe(told.topic + "/#", { qos: 2 }, (error) => {
    if (error) fail(error);
    for (const qos of [0, 1, 2]) {
      client.publish(`${told.topic}/${qos}`, `at ${qos}`, { qos }, (error) => error && fail(error));
    }
  }),
);
