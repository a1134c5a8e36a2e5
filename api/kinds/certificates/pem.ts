/** A block of a PEM text (RFC 7468, as Go's encoding/pem reads it). */
export interface PemBlock {
  /** `CERTIFICATE REQUEST` */
  readonly type: string;
  readonly hasHeaders: boolean;
  readonly bytes: Uint8Array;
}

const header = /^[^:\n]+:[^\n]*$/;

/** The blocks of the text, in order; what lies between them, and what is none, is passed over. */
export function pemBlocks(text: string): readonly PemBlock[] {
  const lines = text.split('\n').map((line) => line.replace(/[ \t\r]+$/, ''));
  const blocks: PemBlock[] = [];
  let begun: { readonly type: string; readonly at: number } | undefined;
  lines.forEach((line, index) => {
    const type = /^-----BEGIN (.*)-----$/.exec(line)?.[1];
    if (type !== undefined) begun = { type, at: index };
    if (begun === undefined || line !== `-----END ${begun.type}-----`) return;
    const body = lines.slice(begun.at + 1, index);
    const count = body.findIndex((each) => !header.test(each));
    const base64 = body.slice(Math.max(count, 0)).join('');
    if (/^[A-Za-z0-9+/]*={0,2}$/.test(base64) && base64.length % 4 === 0) {
      const bytes = Buffer.from(base64, 'base64');
      blocks.push({ type: begun.type, hasHeaders: count > 0, bytes });
    }
    begun = undefined;
  });
  return blocks;
}
