import { readFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import {
  patchTypes,
  readAnswer,
  type ObservedStep,
} from '#control-plane/apiserver/observed/observed-step.fixture.ts';
import { serviceAccountGroups } from '#control-plane/apiserver/chain/authn/groups.ts';
import type { User } from '#control-plane/apiserver/serve/request.ts';
import { wholeBody, type Answer, type TestServer } from '#control-plane/apiserver/test-server.fixture.ts';

/*
 * Requests of several users, and what a kube-apiserver 1.36.2 answered them (observed-1.36.2.txt), as steps to ask again. In the file:
 * "--- label"; "> METHOD path [kind of patch] {Header: value, …} (client: NAME) body"; "! Warning: …"; "< code answer". What was asked
 * in a row is a line: "label: METHOD path body -> code message", or with the end of the path alone for a creation. T1 … times, U1 … uids, … cut.
 */

const everyone = 'system:authenticated';

/** A request, who made it, and its answer: of a line the message, or the status. */
export interface AccessStep extends ObservedStep {
  /** A name of the observer's; undefined: the administrator. */
  readonly client: string | undefined;
}

/** A section of the file, by its title. */
export interface AccessSection {
  readonly title: string;
  readonly steps: readonly AccessStep[];
}

const groups: Readonly<Record<string, string>> = {
  role: 'rbac.authorization.k8s.io',
  cluster: 'rbac.authorization.k8s.io',
  subject: 'authorization.k8s.io',
  local: 'authorization.k8s.io',
  flow: 'flowcontrol.apiserver.k8s.io',
  priority: 'flowcontrol.apiserver.k8s.io',
};

export function readSections(): readonly AccessSection[] {
  const lines = readFileSync(new URL('observed-1.36.2.txt', import.meta.url), 'utf8').split('\n');
  const sections: { readonly title: string; readonly steps: AccessStep[] }[] = [];
  let label = '';
  for (const [index, text] of lines.entries()) {
    const title = /^=+ (.*)/.exec(text)?.[1];
    if (title !== undefined) sections.push({ title, steps: [] });
    if (text.startsWith('--- ')) label = text.slice(4);
    const step = readRequest(lines, index, label) ?? readRow(text, index) ?? readReview(text, index);
    if (step !== undefined) sections.at(-1)?.steps.push(step);
  }
  return sections;
}

function readRequest(lines: readonly string[], index: number, label: string): AccessStep | undefined {
  const request =
    /^> ([A-Z]+) (\S+)(?: \[(\w+)\])?(?: \{([A-Z][^}]*)\})?(?: \(client: (\w+)\))?(?: (.*))?$/.exec(
      lines[index] ?? '',
    );
  if (request === null) return undefined;
  const [, method = '', path = '', type, given, client, body] = request;
  const told = readAnswer(lines, index + 1);
  if (told === undefined) return undefined;
  return {
    ...{ line: index + 1, label, method, path, client, body, ...told },
    headers: {
      ...(type === undefined ? {} : { 'content-type': patchTypes[type] ?? type }),
      ...(given === undefined ? {} : readHeaders(given)),
    },
  };
}

/** What was done between the requests of a file, unseen: a line `+ METHOD path body`. */
export interface Preparation {
  readonly line: number;
  readonly method: string;
  readonly path: string;
  readonly body: string | undefined;
}

/** The steps of a file of one observer, and what was done before which. A line `label: METHOD path body -> code message` was asked with dryRun=All. */
export function readSteps(file: string): {
  readonly steps: readonly AccessStep[];
  readonly done: readonly Preparation[];
} {
  const lines = readFileSync(new URL(file, import.meta.url), 'utf8').split('\n');
  const steps: AccessStep[] = [];
  const done: Preparation[] = [];
  let label = '';
  for (const [index, text] of lines.entries()) {
    if (text.startsWith('--- ')) label = text.slice(4);
    const [, method = '', path = '', body] = /^\+ ([A-Z]+) (\S+)(?: (.*))?$/.exec(text) ?? [];
    if (method !== '') done.push({ line: index + 1, method, path, body });
    const step = readRequest(lines, index, label) ?? readDryRow(text, index);
    if (step !== undefined) steps.push(step);
  }
  return { steps, done };
}

/** Does what was done before a line, from the first that was not: how many then were. @throws Error where one does not work */
export async function prepareUntil(
  { call }: TestServer,
  far: { readonly done: readonly Preparation[]; readonly doneCount: number; readonly line: number },
): Promise<number> {
  let count = far.doneCount;
  for (const { line, method, path, body } of far.done.slice(count)) {
    if (line > far.line) break;
    const headers = method === 'PATCH' ? { 'content-type': patchTypes['merge'] ?? '' } : undefined;
    const options = { ...(headers && { headers }), ...(body === undefined ? {} : { body }) };
    const { status, text } = await call(method, path, options);
    if (status > 299) throw new Error(`${method} ${path}: ${status} ${text}`);
    count++;
  }
  return count;
}

function readDryRow(text: string, index: number): AccessStep | undefined {
  const row = /^(.+?): ([A-Z]+) (\/\S+) (\{.*?\}|null) -> (\d+) ?(.*)$/.exec(text);
  if (row === null) return undefined;
  const [, label = '', method = '', path = '', body = '', status = '', message = ''] = row;
  return {
    ...{ line: index + 1, label, method, client: undefined, warnings: [], status: Number(status) },
    path: `${path}?dryRun=All`,
    headers: method === 'PATCH' ? { 'content-type': patchTypes['merge'] ?? '' } : {},
    body: body === 'null' ? undefined : body,
    answer: message === '' ? '' : said(message.replaceAll('⏎', '\n')),
  };
}

function readHeaders(text: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    text.split(', ').map((one) => {
      const end = one.indexOf(': ');
      return [one.slice(0, end).toLowerCase(), one.slice(end + 2)];
    }),
  );
}

/** A creation in a line, or what says its method. */
function readRow(text: string, index: number): AccessStep | undefined {
  const row = /^(.+?): (?:([A-Z]+) )?([a-z/]+) (\{.*\}|null) -> (\d+) ?(.*)$/.exec(text);
  if (row === null) return undefined;
  const [, label = '', method = 'POST', resource = '', body = '', status = '', message = ''] = row;
  const kind = /^[a-z]+?(?=s?\/|bindings|roles|schemas|levels|access|$)/.exec(
    resource.replace(/^namespaces\/\w+\//, ''),
  );
  const group = Object.keys(groups).find((start) => (kind?.[0] ?? '').startsWith(start)) ?? '';
  const isReview = resource.endsWith('reviews');
  const place = resource.startsWith('local') ? `namespaces/acc/${resource}` : resource;
  const isDry = method === 'POST' && !isReview;
  return {
    ...{ line: index + 1, label, method, client: undefined, warnings: [], status: Number(status) },
    path: `/apis/${groups[group] ?? ''}/v1/${place}${isDry ? '?dryRun=All' : ''}`,
    headers: method === 'PATCH' ? { 'content-type': patchTypes['merge'] ?? '' } : {},
    ...(body === 'null' ? { body: undefined } : { body: isReview ? `{"spec":${body}}` : body }),
    answer: message === '' ? '' : isDry || Number(status) > 299 ? said(message) : `{"status":${message}}`,
  };
}

function said(message: string): string {
  return JSON.stringify({ message });
}

/** Who somebody is who asks as another. */
function readReview(text: string, index: number): AccessStep | undefined {
  const row = /^(\{"Impersonate-.*?\}) -> (\d+) (.*)$/.exec(text);
  if (row === null) return undefined;
  const headers: Readonly<Record<string, string>> = JSON.parse(row[1] ?? '');
  return {
    ...{ line: index + 1, label: `as ${row[1]}`, method: 'POST', client: undefined, warnings: [] },
    path: '/apis/authentication.k8s.io/v1/selfsubjectreviews',
    headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value])),
    ...{ body: '{}', status: Number(row[2]) },
    answer: row[3]?.startsWith('{') === true ? `{"status":{"userInfo":${row[3]}}}` : said(row[3] ?? ''),
  };
}

/** Those whom the observer was, by what the files call them; who is not named is the administrator. */
export const clients: Readonly<Record<string, User>> = {
  admin: certified(
    'kubernetes-admin',
    'system:masters',
    '215f708da628ebf706c2e2c45e7a17b34f58a17542460a8b2f3a741bfeb1e11e',
  ),
  bob: certified('bob', 'devs', '38cf6372744d74d030d655fb3bc4a48f83f1189975e0dd35709328fc1e175483'),
  nodea: { name: 'system:node:a', groups: ['system:nodes', everyone] },
  nodeb: { name: 'system:node:b', groups: ['system:nodes', everyone] },
  viewer: {
    name: 'system:serviceaccount:acc:viewer',
    groups: [...serviceAccountGroups('acc'), everyone],
  },
  nodex: { name: 'notanode', groups: ['system:nodes', everyone] },
};

/** By a certificate with that SHA-256, in hexadecimal digits. */
function certified(name: string, group: string, hash: string): User {
  const extra = { 'authentication.kubernetes.io/credential-id': [`X509SHA256=${hash}`] };
  return { name, groups: [group, everyone], extra };
}

/** Asks as the one of `clients` whom the step names, or over the wire with no certificate. */
export async function askAs(test: TestServer, step: AccessStep): Promise<Answer> {
  const { client = 'admin', method, path, body } = step;
  const headers = {
    'user-agent': 'obs/1.0',
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    ...step.headers,
  };
  if (client === 'None') return askUnknown(test, { method, path, headers, body });
  const response = await test.server.transport(clients[client]).request({
    ...{ method, path, headers, stream: path.includes('watch=1') },
    ...(body === undefined ? {} : { body: Buffer.from(body) }),
  });
  const text = Buffer.from(await wholeBody(response.body)).toString();
  const isJson = response.headers['content-type']?.startsWith('application/json') === true;
  return {
    ...{ status: response.status, headers: response.headers, text },
    json: isJson && !path.includes('watch=1') ? JSON.parse(text) : undefined,
  };
}

/** Asks over the wire, with no certificate. */
export async function askUnknown(
  { server }: TestServer,
  { body, ...asked }: Pick<AccessStep, 'method' | 'path' | 'headers' | 'body'>,
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const sent = httpsRequest(
    {
      ...{ host: '127.0.0.1', port: server.ports[0], ca: server.caCertPem, agent: false },
      ...{ method: asked.method, path: asked.path },
      headers: { ...asked.headers, 'content-length': Buffer.byteLength(body ?? '') },
    },
    async (response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of response) chunks.push(chunk as Buffer);
      const text = Buffer.concat(chunks).toString();
      resolve({ status: response.statusCode ?? 0, headers: {}, text, json: JSON.parse(text) });
    },
  );
  sent.on('error', reject);
  sent.end(body);
  return promise;
}
