import { isObject, stringOf, at } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { Clock } from '#base/clock.ts';
import { timeoutSignal } from '#base/clock.ts';
import { kubeletEndpoint, type NodeDialer } from '#control-plane/apiserver/nodes/node-dialer.ts';

/** How long what a node said is told again. */
const keptMs = 10_000;
/** Nodes that are asked at once. */
const atOnceMax = 16;
/** For an answer of one node. */
const answerMs = 5000;
/** Of it: 110 pods of ten containers have 2 MiB. */
const bytesMax = 16 * 1024 * 1024;

/** What nodes say of themselves and their pods, asked when somebody wants to know. */
export class Summaries {
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #nodes: () => Pick<NodeDialer, 'request'>;
  readonly #kept = new Map<
    string,
    { readonly atMs: number; readonly summary: Promise<JsonObject | undefined> }
  >();

  constructor(clock: Pick<Clock, 'monotonic'>, nodes: () => Pick<NodeDialer, 'request'>) {
    this.#clock = clock;
    this.#nodes = nodes;
  }

  /** By name of node; undefined for one that does not answer. */
  async read(nodes: readonly JsonObject[]): Promise<ReadonlyMap<string, JsonObject | undefined>> {
    const found = new Map<string, JsonObject | undefined>();
    let next = 0;
    const work = async (): Promise<void> => {
      for (let node = nodes[next++]; node !== undefined; node = nodes[next++])
        found.set(nameOf(node), await this.#of(node));
    };
    await Promise.all(Array.from({ length: atOnceMax }, work));
    return found;
  }

  #of(node: JsonObject): Promise<JsonObject | undefined> {
    const nowMs = this.#clock.monotonic();
    for (const [name, { atMs }] of this.#kept) {
      if (nowMs - atMs < keptMs) break;
      this.#kept.delete(name);
    }
    const name = nameOf(node);
    const known = this.#kept.get(name);
    if (known !== undefined) return known.summary;
    const summary = this.#ask(node).catch(() => undefined);
    this.#kept.set(name, { atMs: nowMs, summary });
    return summary;
  }

  async #ask(node: JsonObject): Promise<JsonObject | undefined> {
    const path = '/stats/summary';
    // As what is passed on by the node's proxy: where several nodes have one port, it says which is asked.
    const headers = { 'x-forwarded-uri': `/api/v1/nodes/${nameOf(node)}/proxy${path}` };
    const request = { method: 'GET', path, headers, signal: timeoutSignal(answerMs) };
    const answer = await this.#nodes().request(kubeletEndpoint(node), request);
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > bytesMax) return undefined;
      chunks.push(chunk);
    }
    if (answer.statusCode !== 200) return undefined;
    const value: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    return isObject(value) ? value : undefined;
  }
}

function nameOf(node: JsonObject): string {
  return stringOf(at(node, 'metadata.name'));
}
