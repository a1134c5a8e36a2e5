/** A path of the host: text, or bytes where it is no ASCII. */
export type LayerPath = string | Buffer;

/** A directory of the host as `layerPath` takes it: its bytes as latin1, as all names of layers are written. */
export function layerRoot(directory: string): string {
  return Buffer.from(directory).toString('latin1');
}

/** The path of something below a directory; of both the bytes are written as latin1. */
export function layerPath(directory: string, relative: string): LayerPath {
  const path = relative === '' ? directory : `${directory}/${relative}`;
  return isAscii(path) ? path : Buffer.from(path, 'latin1');
}

export function isAscii(text: string): boolean {
  // oxlint-disable-next-line no-control-regex -- all of ASCII
  return /^[\0-\x7f]*$/.test(text);
}
