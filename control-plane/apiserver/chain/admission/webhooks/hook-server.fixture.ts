import { createServer, type Server } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { JsonObject } from '#api/meta/object.ts';
import { at, isObject, objectOf } from '#api/wire/json.ts';
import { createAuthority, issueCertificate } from '#control-plane/apiserver/pki/certificate.ts';

/** A call that a hook got. */
export interface HookCall {
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly review: JsonObject;
}

type Answerer = (call: HookCall, response: ServerResponse) => unknown;

/** A server of hooks over TLS, of which each path answers in its own way. */
export interface HookServer extends AsyncDisposable {
  readonly port: number;
  /** base64, as `caBundle` has it. */
  readonly caBundle: string;
  readonly calls: readonly HookCall[];
  /** What a path answers from now on: a response (`uid` is filled in), or by hand. */
  on(path: string, answer: Answerer): void;
  clear(): void;
  /** Closes all connections. */
  disconnect(): void;
}

/** Answers for `127.0.0.1` and the Service hook in namespace pol. */
export async function startHookServer(
  hosts: readonly string[] = ['hook.pol.svc', '127.0.0.1'],
): Promise<HookServer> {
  const nowMs = Date.now();
  const authority = await createAuthority('hooks', nowMs);
  const serving = await issueCertificate(authority, { commonName: 'hook', hosts, usages: ['server'], nowMs });
  const answers = new Map<string, Answerer>(observedAnswers);
  const calls: HookCall[] = [];
  const sockets = new Set<Socket>();
  const server: Server = createServer({ cert: serving.certPem, key: serving.keyPem }, (request, response) => {
    void answer(request, response, { answers, calls });
  });
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    caBundle: Buffer.from(authority.certPem).toString('base64'),
    calls,
    on: (path, own) => void answers.set(path, own),
    clear: () => void calls.splice(0),
    disconnect: () => {
      for (const socket of sockets) socket.destroy();
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { answers, calls }: { readonly answers: ReadonlyMap<string, Answerer>; readonly calls: HookCall[] },
): Promise<void> {
  let text = '';
  for await (const chunk of request) text += String(chunk);
  const review: JsonObject = text === '' ? {} : JSON.parse(text);
  const [path = ''] = (request.url ?? '').split('?');
  const call = { path: request.url ?? '', headers: request.headers, review };
  calls.push(call);
  const said = (answers.get(path) ?? (() => ({ allowed: true })))(call, response);
  if (!isObject(said) && typeof said !== 'string') return;
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(typeof said === 'string' ? said : JSON.stringify(reviewOf(review, said)));
}

/** A review with that response. */
export function reviewOf(review: JsonObject, response: JsonObject): JsonObject {
  const { apiVersion, kind } = review;
  return { apiVersion, kind, response: { uid: at(review, 'request.uid'), ...response } };
}

/** A response that patches. */
export function patching(operations: unknown): JsonObject {
  const patch = Buffer.from(
    typeof operations === 'string' ? operations : JSON.stringify(operations),
  ).toString('base64');
  return { allowed: true, patch, patchType: 'JSONPatch' };
}

function failing(code: number): Answerer {
  return (_call, response) => void response.writeHead(code).end();
}

/** Those of the server with which a real kube-apiserver was observed. */
const observedAnswers: readonly (readonly [string, Answerer])[] = [
  ['/deny', () => ({ allowed: false })],
  ['/denymsg', () => ({ allowed: false, status: { code: 418, reason: 'Teapot', message: 'no thanks' } })],
  ['/denyreason', () => ({ allowed: false, status: { reason: 'OnlyReason' } })],
  ['/deny400', () => ({ allowed: false, status: { code: 400, message: 'bad' } })],
  ['/deny200', () => ({ allowed: false, status: { code: 200, status: 'Success', message: 'odd' } })],
  [
    '/warn',
    () => ({ allowed: true, warnings: ['first warning', 'second "quoted" ümlaut', 'x'.repeat(300)] }),
  ],
  ['/audit', () => ({ allowed: true, auditAnnotations: { k: 'v', 'bad key': 'w' } })],
  ['/wronguid', () => ({ allowed: true, uid: 'other' })],
  ['/nouid', () => ({ allowed: true, uid: '' })],
  ['/noresp', ({ review }) => JSON.stringify({ apiVersion: review['apiVersion'], kind: 'AdmissionReview' })],
  [
    '/nokind',
    ({ review }) => JSON.stringify({ response: { uid: at(review, 'request.uid'), allowed: true } }),
  ],
  [
    '/v1beta1',
    ({ review }) =>
      JSON.stringify({ ...reviewOf(review, { allowed: true }), apiVersion: 'admission.k8s.io/v1beta1' }),
  ],
  ['/wrongkind', () => JSON.stringify({ apiVersion: 'v1', kind: 'Pod' })],
  ['/garbage', () => '"garbage"'],
  ['/empty', (_call, response) => void response.writeHead(200, { 'content-type': 'application/json' }).end()],
  ['/e500', failing(500)],
  ['/e404', failing(404)],
  ['/slow', () => undefined],
  ['/patch', () => patching([{ op: 'add', path: '/metadata/labels', value: { wh: '1' } }])],
  ['/badpatch', () => patching([{ op: 'remove', path: '/data/zzz' }])],
  ['/badpatch2', () => patching('[{not json')],
  ['/badpatch3', () => patching([{ op: 'replace', path: '/data', value: 'text' }])],
  ['/badpatch4', () => patching([{ op: 'add', path: '/data/bad key', value: 'x' }])],
  ['/patchunk', () => patching([{ op: 'add', path: '/unknown', value: 'x' }])],
  [
    '/nopatchtype',
    () => ({ allowed: true, patch: Buffer.from('[{"op":"remove","path":"/data"}]').toString('base64') }),
  ],
  ['/patchdeny', () => ({ ...patching([{ op: 'remove', path: '/data' }]), allowed: false })],
  ['/patchsecond', () => patching([{ op: 'add', path: '/data/second', value: 'x' }])],
  [
    '/patchcount',
    ({ review }) => {
      const data = objectOf(at(review, 'request.object.data'));
      return patching([{ op: 'add', path: '/data/n', value: String(Object.keys(data).length) }]);
    },
  ],
];
