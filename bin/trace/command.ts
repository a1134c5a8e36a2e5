/** `podwright trace`: where a packet goes, and why it does not arrive. */
import { PodwrightError } from '#base/errors.ts';
import type { TransportProtocol } from '#agent/network/facts/network-facts.ts';
import { print, printText } from '#bin/terminal/print.ts';
import type { ApiClient } from '#client/client.ts';
import type { OutputFormat } from '#bin/terminal/progress.ts';
import { openAccess } from '#bin/token.ts';
import { gatherFacts, gatherObjects, nodesOf } from './gather.ts';
import type { Observed, Question, Trace } from './observed.ts';
import { findSender, senderNode } from './party.ts';
import { renderTrace } from './render-trace.ts';
import { tracePacket } from './trace-packet.ts';

export interface TraceOptions {
  readonly data: string;
  readonly kubeconfig?: string;
  readonly namespace: string;
  readonly protocol: string;
  readonly output: OutputFormat;
}

/** Asks API and nodes, changes nothing, sends nothing; exit status 1 where the packet would not arrive, or not at all endpoints. */
export async function runTrace(from: string, to: string, options: TraceOptions): Promise<void> {
  await using access = openAccess(options);

  const trace = await traceBy(access.client, { from, to }, options);
  if (options.output === 'json') print(JSON.stringify(trace));
  else printText(renderTrace(trace));
  if (trace.arrives !== 'yes') process.exitCode = 1;
}

/** Gathers what the trace goes by, in two rounds: what the API has, then what the nodes on the way see. @throws E_USAGE, E_NOT_FOUND, E_API */
export async function traceBy(
  client: ApiClient,
  ends: { readonly from: string; readonly to: string },
  how: Pick<TraceOptions, 'namespace' | 'protocol'>,
): Promise<Trace> {
  const objects = await gatherObjects(client);
  const question = readQuestion(ends, how, objects);
  const first = tracePacket(question, { ...objects, facts: new Map() });
  const facts = await gatherFacts(client, wantedOf(question, first, objects));
  return tracePacket(question, { ...objects, facts });
}

/** @throws E_USAGE, E_NOT_FOUND */
export function readQuestion(
  { from, to }: { readonly from: string; readonly to: string },
  { namespace, protocol: word }: Pick<TraceOptions, 'namespace' | 'protocol'>,
  objects: Pick<Observed, 'pods' | 'nodes'>,
): Question {
  const protocol = word.toUpperCase() as TransportProtocol;
  const bracketed = /^\[([^\]]+)\](?::(.+))?$/.exec(to);
  const isBareIpv6 = bracketed === null && to.split(':').length > 2;
  const [host = '', port] = bracketed?.slice(1) ?? (isBareIpv6 ? [to] : to.split(':'));
  if (host === '' || port === '')
    throw new PodwrightError('E_USAGE', `TO ${to}: write NAME, ADDRESS or KIND/NAME, and :PORT`);
  if (port !== undefined && /^\d+$/.test(port) && !(Number(port) >= 1 && Number(port) <= 65_535))
    throw new PodwrightError('E_USAGE', `TO ${to}: a port is 1 to 65535`);
  return { from: findSender(from, namespace, objects), to: host, port, protocol, namespace };
}

/** Which nodes the packet passes, and whose sockets are looked at. */
function wantedOf(
  question: Question,
  { ways }: Trace,
  objects: Omit<Observed, 'facts'>,
): ReturnType<typeof nodesOf> {
  const { from, to } = question;
  const target = to.startsWith('node/') ? to.slice('node/'.length) : undefined;
  const sender =
    from.kind === 'pod' ? `${from.pod.metadata?.namespace ?? ''}/${from.pod.metadata?.name ?? ''}` : '';
  const addresses = ways.map((way) => /^\[?([^\]]+?)\]?:\d+( |$)/.exec(way.to)?.[1] ?? '');
  const hosts = objects.nodes.filter(({ status }) =>
    status?.addresses?.some(({ address }) => addresses.includes(address)),
  );
  const names = [senderNode(from), target, ...hosts.map(({ metadata }) => metadata?.name)];
  return nodesOf(names, new Set([sender, ...addresses]), objects);
}
