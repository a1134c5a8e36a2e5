/**
 * What kubectl prints for a question that tests ask again and again, without its fifth of a second of processor time for each: a client in the
 * test's own process asks, over one connection. `kubectl.test.ts` compares with kubectl, and proves that itself by kubectl alone.
 */
import { loadAll } from 'js-yaml';

import type { JsonObject } from '#api/meta/object.ts';
import { findByPath } from '#api/structural/paths/find.ts';
import { parseJsonPath } from '#api/structural/paths/json-path.ts';
import { at, isObject, listOf, objectsOf, stringOf } from '#api/wire/json.ts';
import { systemClock } from '#base/clock.ts';
import { describeError, isPodwrightError } from '#base/errors.ts';
import { createHttpTransport } from '#client/http-transport.ts';
import { loadKubeconfig } from '#client/kubeconfig.ts';
import type { Transport, TransportRequest } from '#client/transport.ts';
import { parseAsk, type Asked, type AskedObjects } from './ask-words.ts';

interface Printed {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Asker extends AsyncDisposable {
  /** Undefined: kubectl alone can do that, or says best what is wrong with it. */
  answer(words: readonly string[], input?: string): Promise<Printed | undefined>;
}

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly warnings: readonly string[];
}

interface Resource {
  readonly path: string;
  readonly plural: string;
  /** As `-o name` has it. */
  readonly name: string;
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespaced: boolean;
  readonly names: readonly string[];
}

type Ask = (path: string, more?: Partial<TransportRequest>) => Promise<Answer>;

const discovery = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
const table = 'application/json;as=Table;v=v1;g=meta.k8s.io';

export function createAsker(kubeconfig: string): Asker {
  let transport: Transport | undefined;
  let known: readonly Resource[] = [];
  const once: Ask = async (path, more = {}) => {
    transport ??= createHttpTransport(loadKubeconfig(kubeconfig, systemClock));
    const { status, headers, body } = await transport.request({ method: 'GET', path, headers: {}, ...more });
    const text = body instanceof Uint8Array ? Buffer.from(body).toString('utf8') : '';
    const warnings = [...(headers['warning'] ?? '').matchAll(/299 \S+ ("(?:[^"\\]|\\.)*")/g)];
    return { status, text, warnings: warnings.map(([, warning]) => JSON.parse(warning ?? '""') as string) };
  };
  // The server may be another since the last question.
  const ask: Ask = (path, more) =>
    once(path, more).catch(async (error: unknown) => {
      await transport?.[Symbol.asyncDispose]();
      transport = undefined;
      if (more?.method === 'POST') throw error;
      return once(path, more);
    });
  const find = async (is: (resource: Resource) => boolean): Promise<Resource | undefined> => {
    const found = known.find(is);
    if (found !== undefined) return found;
    known = await discover(ask);
    return known.find(is);
  };
  const objects = async (asked: AskedObjects): Promise<Printed | undefined> => {
    const resource = await find(({ names }) => names.includes(asked.resource));
    return resource === undefined ? undefined : printObjects(asked, resource, ask);
  };
  const answerAsked = async (asked: Asked, input: string): Promise<Printed | undefined> => {
    switch (asked.kind) {
      case 'raw':
        return printed(await ask(asked.path));
      case 'logs':
        return logs(asked.path, ask);
      case 'create':
        return create(input, find, ask);
      case 'objects':
        return objects(asked);
      default:
        return asked satisfies never;
    }
  };
  return {
    answer: async (words, input = '') => {
      const asked = parseAsk(words);
      if (asked === undefined) return undefined;
      return answerAsked(asked, input).catch((error: unknown) =>
        isPodwrightError(error, 'E_CONNECTION')
          ? { code: 1, stdout: '', stderr: `Unable to connect to the server: ${describeError(error)}\n` }
          : undefined,
      );
    },
    [Symbol.asyncDispose]: async () => transport?.[Symbol.asyncDispose](),
  };
}

async function discover(ask: Ask): Promise<readonly Resource[]> {
  const documents = await Promise.all(
    ['/api', '/apis'].map(async (path) =>
      JSON.parse((await ask(path, { headers: { accept: discovery } })).text),
    ),
  );
  return documents.flatMap((document) => objectsOf(at(document, 'items'))).flatMap(resourcesOf);
}

function resourcesOf(item: JsonObject): readonly Resource[] {
  const group = stringOf(at(item, 'metadata.name'));
  return objectsOf(item['versions']).flatMap((served) => {
    const version = stringOf(served['version']);
    const apiVersion = group === '' ? version : `${group}/${version}`;
    return objectsOf(served['resources']).map((resource) => {
      const kind = stringOf(at(resource, 'responseKind.kind'));
      const plural = stringOf(resource['resource']);
      return {
        ...{ path: group === '' ? `/api/${version}` : `/apis/${apiVersion}`, plural, apiVersion, kind },
        name: group === '' ? kind.toLowerCase() : `${kind.toLowerCase()}.${group}`,
        namespaced: resource['scope'] === 'Namespaced',
        names: [
          plural,
          stringOf(resource['singularResource']),
          ...listOf(resource['shortNames']).map(stringOf),
        ],
      };
    });
  });
}

const collectionOf = ({ path, plural, namespaced }: Resource, namespace: string | undefined): string =>
  namespaced && namespace !== undefined ? `${path}/namespaces/${namespace}/${plural}` : `${path}/${plural}`;

const isGood = ({ status }: Answer): boolean => status >= 200 && status < 300;

function printed(answer: Answer, doing = ''): Printed {
  if (isGood(answer)) return { code: 0, stdout: answer.text, stderr: '' };
  const status: unknown = JSON.parse(answer.text);
  const [reason, message] = [stringOf(at(status, 'reason')), stringOf(at(status, 'message'))];
  return { code: 1, stdout: '', stderr: `Error from server (${reason}): ${doing}${message}\n` };
}

/** Whatever is no log is kubectl's to explain: which container it took, or that none has begun. */
async function logs(path: string, ask: Ask): Promise<Printed | undefined> {
  const answer = await ask(path);
  return isGood(answer) ? printed(answer) : undefined;
}

async function create(
  input: string,
  find: (is: (resource: Resource) => boolean) => Promise<Resource | undefined>,
  ask: Ask,
): Promise<Printed | undefined> {
  await ask('/version'); // What is made is asked for once, and not on a connection that may have ended.
  const bodies = loadAll(input);
  const made: Printed[] = [];
  for (const body of bodies) {
    const resource = await find(
      ({ apiVersion, kind }) => apiVersion === at(body, 'apiVersion') && kind === at(body, 'kind'),
    );
    // One that has made something already has the rest to say itself, or kubectl would make that again.
    if (resource === undefined && made.length === 0) return undefined;
    if (resource === undefined)
      throw new Error(`create ${String(at(body, 'kind'))}: the server has no such kind`);
    const namespace = stringOf(at(body, 'metadata.namespace')) || 'default';
    const answer = await ask(
      `${collectionOf(resource, namespace)}?fieldManager=kubectl-create&fieldValidation=Strict`,
      {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: Buffer.from(JSON.stringify(body)),
      },
    );
    const { code, stderr } = printed(answer, 'error when creating "STDIN": ');
    const told = answer.warnings.map((warning) => `Warning: ${warning}\n`).join('');
    const name = code === 0 ? stringOf(at(JSON.parse(answer.text), 'metadata.name')) : '';
    made.push({
      code,
      stdout: code === 0 ? `${resource.name}/${name} created\n` : '',
      stderr: told + stderr,
    });
  }
  return {
    code: Math.max(...made.map(({ code }) => code)),
    stdout: made.map(({ stdout }) => stdout).join(''),
    stderr: made.map(({ stderr }) => stderr).join(''),
  };
}

async function printObjects(asked: AskedObjects, resource: Resource, ask: Ask): Promise<Printed | undefined> {
  const { name, output } = asked;
  const isTable = output === '' || output === 'wide';
  if (isTable && asked.namespace === undefined && resource.namespaced) return undefined; // A column more.
  const query = new URLSearchParams(asked.query).toString();
  const collection = collectionOf(resource, asked.namespace);
  const path = `${name === undefined ? collection : `${collection}/${name}`}${query === '' ? '' : `?${query}`}`;
  const answer = await ask(path, { headers: { accept: isTable ? table : 'application/json' } });
  if (answer.status === 404 && asked.ignoresNone) return { code: 0, stdout: '', stderr: '' };
  if (!isGood(answer)) return printed(answer);
  const value: unknown = JSON.parse(answer.text);
  const stdout = isTable
    ? renderTable(value, asked)
    : render(shown(value, resource, name === undefined), asked, resource);
  const isNone = stdout === '' && isTable;
  return { code: 0, stdout, stderr: isNone ? 'No resources found\n' : '' };
}

/** As kubectl has it: without managed fields, of a list each with its kind. */
function shown(value: unknown, { apiVersion, kind }: Resource, isList: boolean): JsonObject {
  const own = (object: JsonObject): JsonObject => {
    const { managedFields: _, ...metadata } = isObject(object['metadata']) ? object['metadata'] : {};
    return { ...object, apiVersion, kind, metadata };
  };
  if (!isList) return own(isObject(value) ? value : {});
  const items = objectsOf(at(value, 'items')).map(own);
  return { apiVersion: 'v1', kind: 'List', metadata: { resourceVersion: '' }, items };
}

function render(value: JsonObject, { output, template }: AskedObjects, resource: Resource): string {
  if (output === 'json') return `${goJson(value, 4)}\n`;
  if (output === 'name') {
    const all = value['kind'] === 'List' ? objectsOf(value['items']) : [value];
    return all.map((one) => `${resource.name}/${stringOf(at(one, 'metadata.name'))}\n`).join('');
  }
  return template
    .map((part) => (part.kind === 'text' ? part.text : found(findByPath(parseJsonPath(part.path), value))))
    .join('');
}

const found = (values: readonly unknown[]): string =>
  values.map((value) => (typeof value === 'object' ? goJson(value) : String(value))).join(' ');

/** As Go writes it: members by name, and no character that HTML minds. */
function goJson(value: unknown, indent = 0): string {
  const sorted = (_: string, member: unknown): unknown =>
    isObject(member)
      ? Object.fromEntries(Object.entries(member).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : member;
  return JSON.stringify(value, sorted, indent).replaceAll(
    /[<>&]/g,
    (char) => `\\u00${char.charCodeAt(0).toString(16)}`,
  );
}

function renderTable(value: unknown, { output, hasHeaders }: AskedObjects): string {
  const columns = objectsOf(at(value, 'columnDefinitions'));
  const isShown = columns.map((column) => output === 'wide' || column['priority'] === 0);
  const rows = objectsOf(at(value, 'rows')).map((row) => listOf(row['cells']).map(cell));
  if (rows.length === 0) return '';
  const head = columns.map((column) => stringOf(column['name']).toUpperCase());
  const lines = (hasHeaders ? [head, ...rows] : rows).map((row) => row.filter((_, index) => isShown[index]));
  const widths = (lines[0] ?? []).map((_, index) =>
    Math.max(...lines.map((line) => (line[index] ?? '').length)),
  );
  const last = widths.length - 1;
  return lines
    .map((line) =>
      line
        .map((text, index) => (index === last ? text : text.padEnd(Math.max(widths[index] ?? 0, 3) + 3)))
        .join(''),
    )
    .map((line) => `${line}\n`)
    .join('');
}

const cell = (value: unknown): string => (typeof value === 'object' ? '<none>' : String(value));
