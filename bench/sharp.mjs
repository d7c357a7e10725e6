// Engine ceiling: sharp behind a bare node http server; two jobs at a time, one thread each.
// /?s=<source url>&w=&h=&fit=&p=<position>&f=jpeg|webp|png|avif&q=&n=-1&e=<effort>&m=<watermark's url>&t=<text>
import http from "node:http";
import { createRequire } from "node:module";
const sharp = createRequire("@WORK@/npm/")("sharp");
sharp.cache(false);
sharp.concurrency(1);
const agent = new http.Agent({ keepAlive: true });
const fetchBody = (url) => new Promise((resolve, reject) => {
  http.get(url, { agent }, (reply) => {
    const parts = [];
    reply.on("data", (part) => parts.push(part)).on("end", () => resolve(Buffer.concat(parts))).on("error", reject);
  }).on("error", reject);
});
const marks = new Map();
const mark = async (url) => {
  if (!marks.has(url)) marks.set(url, await sharp(await fetchBody(url)).resize(160).png().toBuffer());
  return marks.get(url);
};
const line = (text) => ({ text: { text: `<span foreground="white">${text}</span>`, rgba: true, dpi: 72, font: "sans 40" } });
let free = 2;
const waiting = [];
const enter = () => (free > 0 ? (free--, Promise.resolve()) : new Promise((go) => waiting.push(go)));
const leave = () => (waiting.length ? waiting.shift()() : free++);
http.createServer(async (request, reply) => {
  const p = new URL(request.url, "http://local").searchParams;
  if (!p.get("s")) return reply.end("ok");
  try {
    const source = await fetchBody(p.get("s"));
    await enter();
    try {
      const format = p.get("f");
      const options = format === "png" ? {} : { quality: Number(p.get("q")) };
      if (p.get("e")) options.effort = Number(p.get("e"));
      const size = { width: Number(p.get("w")) || null, height: Number(p.get("h")) || null, fit: p.get("fit") ?? "inside" };
      if (p.get("p")) size.position = p.get("p");
      const layers = p.get("m") ? [{ input: await mark(p.get("m")), gravity: "southeast" }] : p.get("t") ? [{ input: line(p.get("t")), gravity: "south" }] : [];
      const body = await sharp(source, { pages: Number(p.get("n") ?? 1) }).resize(size).composite(layers).toFormat(format, options).toBuffer();
      reply.writeHead(200, { "content-type": `image/${format}`, "content-length": body.length }).end(body);
    } finally { leave(); }
  } catch (error) { reply.writeHead(500).end(String(error)); }
}).listen(21006, "127.0.0.1");
