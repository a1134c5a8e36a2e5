/** Watchers of a campaign: cut at random and resumed with either server, they keep all that they were told. */
import { at, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { systemClock } from '#base/clock.ts';
import { jsonLines } from '#client/json-lines.ts';
import type { Transport } from '#client/transport.ts';
import type { Random } from '#test/fuzz/damage.ts';
import { paths } from './clients.ts';
import { digestOf, keyOf, revisionOf, type Held, type Resource, type Told, type Watched } from './history.ts';

export interface WatcherOptions {
  readonly name: string;
  readonly resource: Resource;
  readonly transports: readonly Transport[];
  readonly random: Random;
  /** The longest time between cuts. */
  readonly cutMs: number;
}

export interface Watcher extends AsyncDisposable {
  readonly watched: Watched;
  readonly counts: { cuts: number; relists: number };
}

const retryMs = 100;

interface OpenStretch {
  readonly from: number;
  readonly listed: Map<string, Held>;
  readonly events: Told[];
  /** Where it goes on: of the last event or bookmark. */
  at: number;
}

export function startWatcher({ name, resource, transports, random, cutMs }: WatcherOptions): Watcher {
  const stop = new AbortController();
  const stretches: OpenStretch[] = [];
  const counts = { cuts: 0, relists: 0 };
  const pick = (): Transport | undefined => transports[random(transports.length)];
  const running = (async (): Promise<void> => {
    while (!stop.signal.aborted) {
      const stretch = stretches.at(-1);
      const cut = AbortSignal.any([stop.signal, timeout(random(cutMs) + 1)]);
      try {
        if (stretch === undefined || stretch.at < 0) {
          stretches.push(await list(pick(), resource));
          counts.relists++;
        } else {
          await follow(pick(), stretch, { resource, signal: cut });
          counts.cuts++;
        }
      } catch {
        if (cut.aborted) counts.cuts++; // Else the server went, or says no: it is asked again.
        else await systemClock.sleep(retryMs);
      }
    }
  })();
  return {
    watched: { name, resource, stretches },
    counts,
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await running;
    },
  };
}

function timeout(ms: number): AbortSignal {
  const controller = new AbortController();
  systemClock.after(ms, () => controller.abort());
  return controller.signal;
}

async function list(transport: Transport | undefined, resource: Resource): Promise<OpenStretch> {
  const answer = await transport?.request({ method: 'GET', path: paths[resource], headers: {} });
  if (answer?.status !== 200 || !(answer.body instanceof Uint8Array)) throw new Error('no list');
  const body = objectOf(JSON.parse(Buffer.from(answer.body).toString()));
  const listed = new Map(
    objectsOf(body['items']).map((item) => [
      nameIn(resource, item),
      { revision: revisionOf(item), digest: digestOf(item), object: item },
    ]),
  );
  const from = revisionOf(body);
  return { from, listed, events: [], at: from };
}

function nameIn(resource: Resource, object: JsonObject): string {
  return keyOf(resource, stringOf(at(object, 'metadata.name')));
}

/** Until it is cut, or ends. A revision that the server does not have any more ends the stretch. */
async function follow(
  transport: Transport | undefined,
  stretch: OpenStretch,
  { resource, signal }: { readonly resource: Resource; readonly signal: AbortSignal },
): Promise<void> {
  const path = `${paths[resource]}?watch=1&allowWatchBookmarks=true&resourceVersion=${stretch.at}`;
  const answer = await transport?.request({ method: 'GET', path, headers: {}, signal, stream: true });
  if (answer?.status === 410) stretch.at = -1;
  if (answer?.status !== 200) throw new Error('no watch');
  for await (const line of jsonLines(answer.body)) {
    const [type, object] = [stringOf(at(line, 'type')), objectOf(at(line, 'object'))];
    if (type === 'ERROR') {
      if (object['code'] === 410) stretch.at = -1;
      return;
    }
    const revision = revisionOf(object);
    if (type === 'ADDED' || type === 'MODIFIED' || type === 'DELETED') {
      stretch.events.push({
        revision,
        key: nameIn(resource, object),
        type,
        digest: digestOf(object),
        object,
      });
    }
    stretch.at = revision;
  }
}
