// StatsD's TCP server with two holes closed: its own has no error listener, so that one client that resets its connection
// ends the whole process, and it buffers a line without an end for ever.
"use strict";
const net = require("net");

const LONGEST_LINE = 64 * 1024;

exports.start = function (config, handlePacket) {
  const server = net.createServer((stream) => {
    stream.setEncoding("ascii");
    stream.on("error", () => stream.destroy());
    let buffer = "";
    stream.on("data", (data) => {
      buffer += data;
      const end = buffer.lastIndexOf("\n");
      if (end >= 0) {
        const packet = buffer.slice(0, end + 1);
        buffer = buffer.slice(end + 1);
        handlePacket(packet, { address: stream.remoteAddress, port: stream.remotePort, family: "IPv4", size: packet.length });
      }
      if (buffer.length > LONGEST_LINE) {
        stream.destroy();
      }
    });
  });
  // Without its port StatsD is of no use: end, so that the supervisor tries again and says so.
  server.on("error", (error) => {
    console.error(`StatsD cannot listen on TCP ${config.address}:${config.port}: ${error.message}`);
    process.exit(1);
  });
  server.listen(config.port, config.address);
  return true;
};
