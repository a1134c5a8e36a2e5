/** What a program says, as text, up to `bytesMax` bytes: the rest is read and forgotten, so that it does not wait for us. */
export function collectOutput(stream: NodeJS.ReadableStream, bytesMax: number): () => string {
  const chunks: Buffer[] = [];
  let room = bytesMax;
  stream.on('data', (chunk: Buffer) => {
    if (room > 0) chunks.push(chunk.subarray(0, room));
    room -= Math.min(room, chunk.length);
  });
  return () => Buffer.concat(chunks).toString('utf8');
}
