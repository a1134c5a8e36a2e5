import http2 from 'node:http2';
import type { HandlerResult } from './handler.ts';

// grpc.health.v1.HealthCheckResponse.ServingStatus
const servingStatus = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'] as const;

/** A good one has seven bytes. */
const answerBytesMax = 10_240;

/**
 * Asks `grpc.health.v1.Health/Check`: one message over HTTP/2 without TLS.
 * Source: https://github.com/grpc/grpc/blob/master/doc/health-checking.md and PROTOCOL-HTTP2.md.
 */
export async function runGrpcHealth(
  address: { readonly host: string; readonly port: number },
  service: string,
  signal: AbortSignal,
): Promise<HandlerResult> {
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  const { promise, resolve, reject } = Promise.withResolvers<HandlerResult>();
  const session = http2.connect(`http://${host}:${address.port}`);
  const onAbort = (): void => {
    session.destroy();
    reject(signal.reason);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  // A session that breaks takes its stream along; whichever tells first, it is the connection that failed.
  const onError = (error: Error): void =>
    resolve({ isSuccess: false, output: `failed to connect service: ${error.message}` });
  session.on('error', onError);
  const stream = session.request({
    ':method': 'POST',
    ':path': '/grpc.health.v1.Health/Check',
    'content-type': 'application/grpc',
    te: 'trailers',
    'user-agent': 'kube-probe/1.36',
  });
  const chunks: Buffer[] = [];
  let size = 0;
  let grpcStatus: string | undefined;
  const note = (headers: http2.IncomingHttpHeaders): void => {
    const value = headers['grpc-status'];
    if (typeof value === 'string') grpcStatus = value;
  };
  stream.on('response', note);
  stream.on('trailers', note);
  stream.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size <= answerBytesMax) chunks.push(chunk);
    else resolve({ isSuccess: false, output: `received message larger than ${answerBytesMax} bytes` });
  });
  stream.on('error', onError);
  stream.on('close', () => resolve(verdict(grpcStatus, Buffer.concat(chunks))));
  stream.end(encodeRequest(service));
  try {
    return await promise;
  } finally {
    signal.removeEventListener('abort', onAbort);
    session.destroy();
  }
}

/** One uncompressed message: HealthCheckRequest { 1: service }. */
function encodeRequest(service: string): Buffer {
  const name = Buffer.from(service);
  const body = name.length === 0 ? name : Buffer.concat([Buffer.from([0x0a, ...varint(name.length)]), name]);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(body.length, 1);
  return Buffer.concat([prefix, body]);
}

function varint(value: number): readonly number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
}

function verdict(grpcStatus: string | undefined, answer: Buffer): HandlerResult {
  if (grpcStatus === '12')
    return {
      isSuccess: false,
      output: 'error: this server does not implement the grpc health protocol (grpc.health.v1.Health)',
    };
  if (grpcStatus !== '0')
    return { isSuccess: false, output: `service unhealthy (grpc status ${grpcStatus ?? 'missing'})` };
  // HealthCheckResponse { 1: status (varint) }; absent is UNKNOWN.
  const status = servingStatus[answer[5] === 0x08 ? (answer[6] ?? 0) : 0] ?? 'UNKNOWN';
  return { isSuccess: status === 'SERVING', output: `service unhealthy (responded with "${status}")` };
}
