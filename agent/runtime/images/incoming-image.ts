import type { Unpack } from './unpack/unpack-thread.ts';

/** An image on its way in, from an archive or a registry, before anything of it is kept. */
export interface IncomingImage {
  /** What to call it in errors. */
  readonly label: string;
  /** Where its layers come from: a registry's host, or `archive`. */
  readonly source: string;
  readonly config: Buffer;
  /** An index said that it is for this machine; otherwise its config is asked. */
  readonly isNamed: boolean;
  readonly manifest: { readonly bytes: Buffer; readonly digest: string } | undefined;
  readonly names: readonly string[]; // canonical
  readonly digests: readonly string[]; // docker.io/library/busybox@sha256:…
  /** Bottom first, one for each diffId of the config. */
  readonly layers: readonly IncomingLayer[];
  /** How its layers are; undefined: as the store unpacks all that come from outside. */
  readonly unpack?: Unpack;
}

/** Of images that come in a file: none of them waits for another's registry for long. */
export const archiveSource = 'archive';

export interface IncomingLayer {
  readonly digest: string | undefined; // of the blob; undefined where nothing names it
  readonly sizeBytes: number; // of the blob
  /**
   * The blob as a file, until disposed. Only called when the layer is not here yet. `came` hears how many bytes of it there are, where they
   * come one after the other.
   */
  fetch(signal: AbortSignal, came?: (bytes: number) => void): Promise<BlobFile>;
}

export interface BlobFile extends AsyncDisposable {
  readonly path: string;
}
