/** The clients of a campaign: each writes and reads the same objects as the others, by whichever server answers, and notes what it knows. */
import { at, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { systemClock } from '#base/clock.ts';
import { errnoOf } from '#base/errors.ts';
import type { Transport } from '#client/transport.ts';
import type { Random } from '#test/fuzz/damage.ts';
import { countIn, keyOf, namespace, revisionOf, type Operation, type Resource } from './history.ts';

/** Of the campaign's resources. */
export const paths: Readonly<Record<Resource, string>> = {
  configmaps: `/api/v1/namespaces/${namespace}/configmaps`,
  services: `/api/v1/namespaces/${namespace}/services`,
};

/** Few, so that clients meet. */
const counts = { registers: 40, counters: 3, bare: 2, services: 24, nodePorts: 12 };
const firstNodePort = 30_100;
/** Of a server that was killed. */
const retryMs = 100;

export interface ClientOptions {
  readonly client: number;
  readonly transports: readonly Transport[];
  readonly random: Random;
  /** The longest pause between two operations. */
  readonly paceMs: number;
  readonly operations: Operation[];
  /** Of all clients: how many writes are wanted still. */
  readonly budget: { writes: number };
}

interface Answer {
  readonly status: number;
  readonly body: JsonObject;
  readonly startMs: number;
  readonly endMs: number;
  /** Nobody was there to be asked: it is as if it had not been. */
  readonly isUnsent?: boolean;
}

type Asked = Pick<Operation, 'verb' | 'key'> & Partial<Pick<Operation, 'token' | 'base' | 'count'>>;

const types = { merge: 'application/merge-patch+json', json: 'application/json-patch+json' };

/** Works until the writes of all clients are done. */
export async function runClient(options: ClientOptions): Promise<void> {
  await new CampaignClient(options).run();
}

class CampaignClient {
  readonly #options: ClientOptions;
  #transport = 0;
  #tokens = 0;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#transport = options.client % options.transports.length;
  }

  async run(): Promise<void> {
    const { budget, random, paceMs } = this.#options;
    const steps: readonly (() => Promise<unknown>)[] = [
      () => this.#create(),
      () => this.#create(),
      () => this.#replace(),
      () => this.#replace(),
      () => this.#compare(),
      () => this.#compare(),
      () => this.#patch('merge'),
      () => this.#patch('merge'),
      () => this.#patch('json'),
      () => this.#delete(this.#register()),
      () => this.#count('counter', counts.counters),
      () => this.#count('counter', counts.counters),
      () => this.#count('bare', counts.bare),
      () => this.#count('bare', counts.bare),
      () => this.#makeService(),
      () => this.#makeService(),
      () => this.#makeService(),
      () => this.#changeService(),
      () => this.#delete(keyOf('services', `s-${random(counts.services)}`)),
      () => this.#read(this.#register()),
      () => this.#list(random(2) === 0 ? 'configmaps' : 'services'),
    ];
    while (budget.writes > 0) {
      if (random(8) === 0) this.#transport = random(this.#options.transports.length);
      await steps[random(steps.length)]?.();
      await systemClock.sleep(random(paceMs + 1));
    }
  }

  #register(): string {
    return keyOf('configmaps', `r-${this.#options.random(counts.registers)}`);
  }

  #token(): string {
    return `${this.#options.client}-${this.#tokens++}`;
  }

  async #create(): Promise<void> {
    const [key, token] = [this.#register(), this.#token()];
    await this.#write({ verb: 'create', key, token }, 'POST', configMap(key, token));
  }

  async #replace(): Promise<void> {
    const [key, token] = [this.#register(), this.#token()];
    await this.#write({ verb: 'replace', key, token }, 'PUT', configMap(key, token));
  }

  async #compare(): Promise<void> {
    const [key, token] = [this.#register(), this.#token()];
    const found = await this.#read(key);
    if (found === undefined) return;
    const body = withRevision(configMap(key, token), found);
    await this.#write({ verb: 'compare', key, token, base: revisionOf(found) }, 'PUT', body);
  }

  async #patch(type: keyof typeof types): Promise<void> {
    const [key, token] = [this.#register(), this.#token()];
    const field = `p${this.#options.client}`;
    const merge = { metadata: { annotations: { writer: token } }, data: { [field]: token } };
    const json = [
      { op: 'add', path: '/metadata/annotations/writer', value: token },
      { op: 'add', path: `/data/${field}`, value: token },
    ];
    await this.#write({ verb: 'patch', key, token }, 'PATCH', type === 'merge' ? merge : json, types[type]);
  }

  /** Raises a counter by what was read. A bare one holds its number and nothing else: two who raise it write the same bytes. */
  async #count(name: 'counter' | 'bare', below: number): Promise<void> {
    const key = keyOf('configmaps', `${name}-${this.#options.random(below)}`);
    const found = await this.#read(key);
    if (found === undefined) return;
    const count = countIn(found) + 1;
    const token = name === 'bare' ? '' : this.#token();
    const body = withRevision({ ...configMap(key, token), data: { count: String(count) } }, found);
    await this.#write({ verb: 'compare', key, token, base: revisionOf(found), count }, 'PUT', body);
  }

  async #makeService(): Promise<void> {
    const { random } = this.#options;
    const [key, token] = [keyOf('services', `s-${random(counts.services)}`), this.#token()];
    const chosen = random(4) === 0 ? { nodePort: firstNodePort + random(counts.nodePorts) } : {};
    const type = random(2) === 0 || 'nodePort' in chosen ? 'NodePort' : 'ClusterIP';
    const ports = [{ port: 80, ...chosen }];
    const body = { metadata: metadataOf(key, token), spec: { type, ports } };
    await this.#write({ verb: 'create', key, token }, 'POST', body);
  }

  /** From one type to the other: ports are taken and given back. */
  async #changeService(): Promise<void> {
    const { random } = this.#options;
    const [key, token] = [keyOf('services', `s-${random(counts.services)}`), this.#token()];
    const type = random(2) === 0 ? 'NodePort' : 'ClusterIP';
    const body = { metadata: { annotations: { writer: token } }, spec: { type } };
    await this.#write({ verb: 'patch', key, token }, 'PATCH', body, types.merge);
  }

  async #delete(key: string): Promise<void> {
    await this.#write({ verb: 'delete', key, token: '' }, 'DELETE', undefined);
  }

  async #read(key: string): Promise<JsonObject | undefined> {
    const answer = await this.#ask('GET', pathOf(key));
    const asked: Asked = { verb: 'read', key };
    if (answer.status === 404) this.#note(asked, answer, { fate: 'done' });
    else if (answer.status === 200)
      this.#note(asked, answer, { fate: 'done', revision: revisionOf(answer.body) });
    else this.#note(asked, answer, { fate: 'unknown' });
    return answer.status === 200 ? answer.body : undefined;
  }

  async #list(resource: Resource): Promise<void> {
    const answer = await this.#ask('GET', paths[resource]);
    const asked: Asked = { verb: 'list', key: resource };
    if (answer.status !== 200) return this.#note(asked, answer, { fate: 'unknown' });
    const items = new Map(
      objectsOf(answer.body['items']).map((item) => [
        keyOf(resource, stringOf(at(item, 'metadata.name'))),
        revisionOf(item),
      ]),
    );
    this.#note(asked, answer, { fate: 'done', revision: revisionOf(answer.body), items });
  }

  async #write(asked: Asked, method: string, body: unknown, type = 'application/json'): Promise<void> {
    this.#options.budget.writes--;
    const path = method === 'POST' ? pathOf(asked.key).replace(/\/[^/]*$/, '') : pathOf(asked.key);
    const answer = await this.#ask(method, path, body === undefined ? undefined : { body, type });
    const { status } = answer;
    if (answer.isUnsent === true) {
      this.#options.budget.writes++;
      return;
    }
    if (status >= 400 && status < 500) return this.#note(asked, answer, { fate: 'refused' });
    if (status !== 200 && status !== 201) return this.#note(asked, answer, { fate: 'unknown' });
    if (method !== 'DELETE') {
      return this.#note(asked, answer, { fate: 'done', revision: revisionOf(answer.body) });
    }
    const uid = at(answer.body, 'details.uid') ?? at(answer.body, 'metadata.uid');
    this.#note(asked, answer, { fate: 'done', uid: stringOf(uid) });
  }

  #note(
    asked: Asked,
    { status, startMs, endMs }: Answer,
    known: Pick<Operation, 'fate'> & Partial<Operation>,
  ): void {
    const { client, operations } = this.#options;
    operations.push({ token: '', ...asked, client, status, startMs, endMs, ...known });
  }

  /** Status 0: no answer. */
  async #ask(
    method: string,
    path: string,
    sent?: { readonly body: unknown; readonly type: string },
  ): Promise<Answer> {
    const startMs = systemClock.monotonic();
    const transport = this.#options.transports[this.#transport];
    const headers = sent === undefined ? {} : { 'content-type': sent.type };
    const body = sent === undefined ? undefined : Buffer.from(JSON.stringify(sent.body));
    try {
      const answer = await transport?.request({ method, path, headers, body });
      const endMs = systemClock.monotonic();
      const text = answer?.body instanceof Uint8Array ? Buffer.from(answer.body).toString() : '';
      return { status: answer?.status ?? 0, body: objectOf(JSON.parse(text)), startMs, endMs };
    } catch (error) {
      // Whatever broke, what matters is whether anybody can know.
      const isUnsent = error instanceof Error && errnoOf(error.cause) === 'ECONNREFUSED';
      const endMs = systemClock.monotonic();
      this.#transport = (this.#transport + 1) % this.#options.transports.length;
      await systemClock.sleep(retryMs);
      return { status: 0, body: {}, startMs, endMs, isUnsent };
    }
  }
}

/** The counters, before anybody raises them. */
export function firstCounters(): readonly JsonObject[] {
  const named = (name: string, count: number): readonly JsonObject[] =>
    Array.from({ length: count }, (_, index) => ({
      metadata: { name: `${name}-${index}` },
      data: { count: '0' },
    }));
  return [...named('counter', counts.counters), ...named('bare', counts.bare)];
}

function pathOf(key: string): string {
  const [resource = '', name = ''] = key.split('/');
  return `/api/v1/namespaces/${namespace}/${resource}/${name}`;
}

function metadataOf(key: string, token: string): JsonObject {
  const name = key.split('/')[1];
  return token === '' ? { name } : { name, annotations: { writer: token } };
}

function configMap(key: string, token: string): JsonObject {
  return { metadata: metadataOf(key, token), data: { by: token } };
}

function withRevision(object: JsonObject, found: JsonObject): JsonObject {
  const { resourceVersion } = objectOf(found['metadata']);
  return { ...object, metadata: { ...objectOf(object['metadata']), resourceVersion } };
}
