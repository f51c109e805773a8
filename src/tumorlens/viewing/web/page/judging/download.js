/** The bytes of a file; `progress` is told the share that has come. */
export async function download(url, progress = () => {}) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url}: ${answer.status}; put a model there`);
  const whole = Number(answer.headers.get("Content-Length")), parts = [];
  let got = 0;
  for (const reader = answer.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) return new Uint8Array(await new Blob(parts).arrayBuffer());
    parts.push(value);
    got += value.length;
    if (whole) progress(Math.min(1, got / whole));
  }
}
