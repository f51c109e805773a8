// Keeps the page for use without a network. `tumorlens web` fills in the files and their version.
const FILES = __FILES__;
const CACHE = `tumorlens ${__VERSION__}`;

self.addEventListener("install", (event) => {
  // The browser has most of them from loading the page: its own cache may answer.
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(FILES)).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  const clean = async () => {
    const others = (await caches.keys()).filter((name) => name.startsWith("tumorlens ") && name !== CACHE);
    await Promise.all(others.map((name) => caches.delete(name)));
    await self.clients.claim();
  };
  event.waitUntil(clean());
});

self.addEventListener("fetch", (event) => {
  if (event.request.method !== "GET" || new URL(event.request.url).origin !== self.location.origin) return;
  event.respondWith(answer(event.request));
});

async function answer(request) {
  const cache = await caches.open(CACHE), kept = await cache.match(request, { ignoreSearch: request.mode === "navigate" });
  if (kept) return kept;
  const got = await fetch(request);
  // The full model is asked for late, and kept from then on.
  if (got.ok && request.url.endsWith("/models/full.onnx")) await cache.put(request, got.clone());
  return got;
}
