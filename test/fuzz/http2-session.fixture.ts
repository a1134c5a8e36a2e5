/** Sessions of an HTTP/2 client as bytes (RFC 9113): well-formed ones, and those with frames changed. */
import { array, constantFrom, integer, nat, oneof, record, uint8Array, type Arbitrary } from 'fast-check';
import { http2Frame, http2Preface } from '#test/attack/peers.ts';

/** RFC 9113, 6. */
const DATA = 0;
const HEADERS = 1;
const PRIORITY = 2;
const RST_STREAM = 3;
const SETTINGS = 4;
const PING = 6;
const GOAWAY = 7;
const WINDOW_UPDATE = 8;
const CONTINUATION = 9;
const END_STREAM = 1;
const END_HEADERS = 4;
const frameHeadBytes = 9;

interface RequestDraft {
  readonly method: 'GET' | 'POST' | 'HEAD' | 'PUT';
  readonly path: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: readonly Buffer[];
  /** Bytes of the headers in the first frame; the rest follows in CONTINUATION frames. */
  readonly firstBytes: number;
  readonly hasTrailers: boolean;
  /** What else is said on the stream, or on the connection. */
  readonly more: readonly ('ping' | 'window' | 'windows' | 'priority' | 'settings' | 'reset' | 'goaway')[];
}

export interface SessionDraft {
  readonly bytes: Buffer;
  /** Streams that are asked for a short answer, by a session in which nothing was changed. */
  readonly answered: readonly number[];
  readonly pieceBytes: number;
  readonly ending: 'wait' | 'end' | 'destroy';
}

const bytes = (maxLength: number): Arbitrary<Buffer> =>
  uint8Array({ maxLength, size: 'max' }).map((array) => Buffer.from(array));

const header: Arbitrary<readonly [string, string]> = constantFrom<(readonly [string, string])[]>(
  ['accept', 'application/json'],
  ['content-type', 'application/json'],
  ['authorization', 'Bearer x'],
  ['content-length', '3'],
  ['content-length', '99999999999999999999'],
  ['expect', '100-continue'],
  ['cookie', 'a=b'],
  ['te', 'trailers'],
  ['connection', 'close'],
  ['upgrade', 'websocket'],
  ['transfer-encoding', 'chunked'],
  ['Upper', 'x'],
  ['', ''],
  ['x\0y', '\r\n\r\n'],
  ['x-long', 'v'.repeat(120)],
  [':path', '/again'],
  [':protocol', 'websocket'],
  ['host', 'elsewhere'],
);

const request: Arbitrary<RequestDraft> = record({
  method: constantFrom('GET', 'POST', 'HEAD', 'PUT'),
  path: oneof(
    { weight: 4, arbitrary: constantFrom('/', '/stream', '/big', '/slow', '/fail') },
    { weight: 1, arbitrary: constantFrom('', '*', '//', '/%', '/?a=%zz&&=', 'http://x/', '/\0', '/ä') },
  ),
  headers: oneof(constantFrom([]), array(header, { maxLength: 3 })),
  body: array(oneof(bytes(20), constantFrom(Buffer.alloc(16_384, 'x'))), { maxLength: 3 }),
  firstBytes: oneof(constantFrom(1000), nat(30)),
  hasTrailers: constantFrom(false, false, false, true),
  more: array(constantFrom('ping', 'window', 'windows', 'priority', 'settings', 'reset', 'goaway'), {
    maxLength: 2,
  }),
});

/** A literal header field without indexing, of a new name (RFC 7541, 6.2.2); shorter than 127 bytes each. */
function field(name: string, value: string): Buffer {
  const [key, content] = [Buffer.from(name), Buffer.from(value)];
  return Buffer.concat([Buffer.of(0, key.length), key, Buffer.of(content.length), content]);
}

function uint32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(value);
  return buffer;
}

const moreFrames: Readonly<Record<RequestDraft['more'][number], (streamId: number) => Buffer>> = {
  ping: () => http2Frame(PING, 0, 0, Buffer.alloc(8)),
  window: (streamId) => http2Frame(WINDOW_UPDATE, 0, streamId, uint32(100_000)),
  windows: () => http2Frame(WINDOW_UPDATE, 0, 0, uint32(100_000)),
  priority: (streamId) => http2Frame(PRIORITY, 0, streamId, Buffer.of(0, 0, 0, 0, 9)),
  settings: () => http2Frame(SETTINGS, 0, 0, Buffer.of(0, 4, 0, 0, 255, 255)),
  reset: (streamId) => http2Frame(RST_STREAM, 0, streamId, uint32(8)),
  goaway: () => http2Frame(GOAWAY, 0, 0, Buffer.alloc(8)),
};

function framesOf(draft: RequestDraft, streamId: number): readonly Buffer[] {
  const { method, path, headers, body, firstBytes, hasTrailers, more } = draft;
  const fields = [
    [':method', method],
    [':scheme', 'https'],
    [':authority', 'x'],
    [':path', path],
    ...headers,
  ];
  const block = Buffer.concat(fields.map(([name = '', value = '']) => field(name, value)));
  const rest = block.subarray(firstBytes);
  const isWhole = rest.length === 0;
  const isBare = body.length === 0 && !hasTrailers;
  const flags = (isWhole ? END_HEADERS : 0) | (isBare ? END_STREAM : 0);
  const last = hasTrailers ? 0 : END_STREAM;
  return [
    http2Frame(HEADERS, flags, streamId, block.subarray(0, firstBytes)),
    ...(isWhole ? [] : [http2Frame(CONTINUATION, END_HEADERS, streamId, rest)]),
    ...body.map((chunk, at) => http2Frame(DATA, at === body.length - 1 ? last : 0, streamId, chunk)),
    ...(hasTrailers ? [http2Frame(HEADERS, END_STREAM | END_HEADERS, streamId, field('x-end', 'y'))] : []),
    ...more.map((kind) => moreFrames[kind](streamId)),
  ];
}

/** Whether such a request is well formed, and answered at once with little. */
function isPlain({ path, headers, more }: RequestDraft): boolean {
  return path === '/' && headers.every(([name]) => name === 'accept') && !more.includes('reset');
}

interface Change {
  readonly kind:
    | 'drop'
    | 'repeat'
    | 'swap'
    | 'flip'
    | 'stream'
    | 'length'
    | 'flags'
    | 'type'
    | 'insert'
    | 'pad';
  readonly at: number;
  readonly other: number;
}

const change: Arbitrary<Change> = record({
  kind: constantFrom('drop', 'repeat', 'swap', 'flip', 'stream', 'length', 'flags', 'type', 'insert', 'pad'),
  at: nat(200),
  other: oneof(nat(10), nat(70_000)),
});

function applyChange(frames: Buffer[], { kind, at, other }: Change): void {
  const place = at % frames.length;
  const frame = Buffer.from(frames[place] ?? Buffer.alloc(frameHeadBytes));
  const place2 = other % frames.length;
  if (kind === 'drop') frames.splice(place, 1);
  else if (kind === 'repeat')
    frames.splice(place2, 0, ...Array.from({ length: 1 + (other % 50) }, () => frame));
  else if (kind === 'swap') [frames[place], frames[place2]] = [frames[place2] ?? frame, frame];
  else if (kind === 'insert')
    frames.splice(place, 0, http2Frame(other % 16, at, other % 9, Buffer.alloc(other % 40, at)));
  else frames[place] = changed(frame, kind, other);
}

function changed(frame: Buffer, kind: Change['kind'], other: number): Buffer {
  if (kind === 'flip') frame[other % frame.length] = (frame[other % frame.length] ?? 0) ^ (1 << (other % 8));
  else if (kind === 'stream') frame.writeUInt32BE(other % 12, 5);
  else if (kind === 'length') frame.writeUIntBE(other, 0, 3);
  else if (kind === 'flags') frame[4] = other & 0xff;
  else if (kind === 'type') frame[3] = other % 12;
  // PADDED, by more or less than there is.
  else if (kind === 'pad') frame[4] = (frame[4] ?? 0) | 8;
  return frame;
}

export const session: Arbitrary<SessionDraft> = record({
  requests: array(request, { minLength: 1, maxLength: 6 }),
  changes: oneof(
    { weight: 1, arbitrary: constantFrom<Change[]>([]) },
    { weight: 4, arbitrary: array(change, { minLength: 1, maxLength: 4 }) },
  ),
  pieceBytes: oneof(constantFrom(1 << 30), integer({ min: 1, max: 60 })),
  ending: constantFrom('wait', 'end', 'destroy'),
}).map(({ requests, changes, pieceBytes, ending }) => {
  const frames = [http2Preface, ...requests.flatMap((each, at) => framesOf(each, 2 * at + 1))];
  for (const each of changes) if (frames.length > 0) applyChange(frames, each);
  const isSound =
    changes.length === 0 && requests.every((each) => isPlain(each) && !each.more.includes('goaway'));
  const answered = isSound ? requests.map((_, at) => 2 * at + 1) : [];
  return { bytes: Buffer.concat(frames), answered, pieceBytes, ending };
});

/** Streams that the other side has ended, by END_STREAM or a reset. */
export function endedStreams(received: Buffer): ReadonlySet<number> {
  const ended = new Set<number>();
  for (let at = 0; received.length - at >= frameHeadBytes;) {
    const [type, flags] = [received[at + 3] ?? 0, received[at + 4] ?? 0];
    const hasEnd = (type === DATA || type === HEADERS) && (flags & END_STREAM) !== 0;
    if (hasEnd || type === RST_STREAM) ended.add(received.readUInt32BE(at + 5) & 0x7fff_ffff);
    at += frameHeadBytes + received.readUIntBE(at, 3);
  }
  return ended;
}
