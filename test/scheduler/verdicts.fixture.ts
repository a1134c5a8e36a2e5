/** What a scheduler thinks of a pod, read by an extender that lets no node pass, and in the words of its condition. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Pod } from '#api/generated/objects.ts';

export interface Verdict {
  /** Names of the nodes that do, in their order. */
  readonly feasible: readonly string[];
  /** How many nodes each reason is of, in order of the text. */
  readonly reasons: readonly string[];
}

const tried = 'the extender lets no node pass';

/** Extenders of several schedulers, which each ask at a path of their own and are answered that no node does. */
export interface Listening extends AsyncDisposable {
  urlOf(scheduler: string): string;
  /** Of the last try of a pod for which some node did. */
  feasible(scheduler: string, podName: string): readonly string[];
}

export async function listenToSchedulers(): Promise<Listening> {
  const asked = new Map<string, readonly string[]>();
  const server = createServer((request, response) => {
    void (async () => {
      let text = '';
      for await (const piece of request) text += String(piece);
      // ExtenderArgs with nodeCacheCapable.
      const { Pod: pod, NodeNames: names } = withCapitals(JSON.parse(text)) as {
        readonly Pod: Pod;
        readonly NodeNames: readonly string[];
      };
      asked.set(`${request.url?.split('/')[1]} ${pod.metadata?.name}`, names.toSorted());
      response.setHeader('content-type', 'application/json');
      const failedNodes = Object.fromEntries(names.map((name) => [name, tried]));
      response.end(JSON.stringify({ nodenames: [], failedNodes }));
    })();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    urlOf: (scheduler) => `http://127.0.0.1:${port}/${scheduler}`,
    feasible: (scheduler, podName) => asked.get(`${scheduler} ${podName}`) ?? [],
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Ours writes Go's names, 1.20 those of its JSON. */
function withCapitals(args: Readonly<Record<string, unknown>>): unknown {
  const byName = new Map(Object.entries(args).map(([name, value]) => [name.toLowerCase(), value]));
  return { Pod: byName.get('pod'), NodeNames: byName.get('nodenames') };
}

/** Undefined while it has not been tried. @param feasible of the last try for which some node did */
export function verdictOf(pod: Pod | undefined, feasible: readonly string[]): Verdict | undefined {
  const condition = pod?.status?.conditions?.find(({ type }) => type === 'PodScheduled');
  if (condition?.message === undefined) return undefined;
  const { reasons } = parseReasons(condition.message);
  const wereAny = reasons.some((reason) => reason.endsWith(tried));
  return { feasible: wereAny ? feasible : [], reasons };
}

/** Reasons of 1.20 in words of 1.36; undefined: 1.36 does not say it beside the other. */
const words: readonly (readonly [old: RegExp, current: string | undefined])[] = [
  [/^node\(s\) had taint \{.*\}, that the pod didn't tolerate$/, 'node(s) had untolerated taint(s)'],
  [
    /^node\(s\) didn't match (node selector|Pod's node affinity)$/,
    "node(s) didn't match Pod's node affinity/selector",
  ],
  [/^node\(s\) didn't match pod affinity\/anti-affinity( rules)?$/, undefined],
  [
    /^pvc\(s\) bound to non-existent pv\(s\)$/,
    'node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)',
  ],
];

/** `0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable.` and what follows. Pure. */
export function parseReasons(message: string): { readonly reasons: readonly string[] } {
  const [, count = '', list] = /^0\/(\d+) nodes are available: (.*?)\.(?: |$)/.exec(message) ?? [];
  if (list === undefined) return { reasons: [message] };
  // What keeps a pod from all nodes is counted by 1.20, and said once by 1.36.
  const counted = /^\d+ /.test(list) ? list : `${count} ${list}`;
  const totals = new Map<string, number>();
  for (const item of counted.split(/, (?=\d+ )/)) {
    const [, number = '', old = ''] = /^(\d+) (.*)$/.exec(item) ?? [];
    const word = words.find(([pattern]) => pattern.test(old));
    const reason = word === undefined ? old : word[1];
    if (reason !== undefined) totals.set(reason, (totals.get(reason) ?? 0) + Number(number));
  }
  return { reasons: [...totals].map(([reason, number]) => `${number} ${reason}`).toSorted() };
}
