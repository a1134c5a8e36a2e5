import { readFileSync } from 'node:fs';
import type { Pod } from '#api/generated/objects.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { Clock } from '#base/clock.ts';
import { createWebhook, type Webhook } from '#client/webhook.ts';
import type { ExtenderSpec, ExtenderTls, Source } from '#control-plane/scheduler/config/extender-spec.ts';
import {
  parseBound,
  parseFiltered,
  parsePriorities,
  parseVictims,
  renderBinding,
  renderNodes,
  renderVictims,
} from './extender-wire.ts';
import type { Outsider } from './outsider.ts';

/** Nodes of large clusters, whole, come back. */
const answerBytesMax = 64 * 1024 * 1024;

/** An HTTP extender: each question is asked once. @throws when a file of its certificates cannot be read */
export function createExtender(spec: ExtenderSpec, clock: Clock): Outsider {
  const { urlPrefix, nodeCacheCapable, weight, managedResources } = spec;
  const tls = spec.tls === undefined ? {} : tlsOptions(spec.tls);
  const hooks = new DisposableStack();
  const asker = (verb: string): Webhook['ask'] => {
    const access = { server: `${urlPrefix}/${verb}`, clock, ...tls };
    return hooks.use(createWebhook({ access, timeoutMs: spec.httpTimeoutMs, tries: 1, answerBytesMax })).ask;
  };
  const ask = (verb: string): ((question: JsonObject) => Promise<unknown>) | undefined =>
    verb === '' ? undefined : asker(verb);
  const filter = ask(spec.filterVerb);
  const prioritize = ask(spec.prioritizeVerb);
  const bind = ask(spec.bindVerb);
  const preempt = ask(spec.preemptVerb);
  return {
    name: `extender at URL ${JSON.stringify(urlPrefix)}`,
    isIgnorable: spec.ignorable,
    isInterestedIn: (pod) => managedResources.size === 0 || usesAny(pod, managedResources),
    ...(filter && {
      filter: async (pod, nodes) =>
        parseFiltered(await filter(renderNodes(pod, nodes, nodeCacheCapable)), nodes, nodeCacheCapable),
    }),
    ...(prioritize && {
      prioritize: async (pod, nodes) =>
        parsePriorities(await prioritize(renderNodes(pod, nodes, nodeCacheCapable)), weight),
    }),
    ...(bind && { bind: async (binding) => parseBound(await bind(renderBinding(binding))) }),
    ...(preempt && {
      preempt: async (pod, candidates) =>
        parseVictims(
          await preempt(renderVictims(pod, candidates, nodeCacheCapable)),
          candidates,
          spec.ignorable,
        ),
    }),
    [Symbol.dispose]: () => hooks.dispose(),
  };
}

function usesAny({ spec }: Pod, names: ReadonlySet<string>): boolean {
  return [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])].some(({ resources }) =>
    [resources?.requests, resources?.limits].some((list) =>
      Object.keys(list ?? {}).some((name) => names.has(name)),
    ),
  );
}

function tlsOptions({ insecure, serverName, ca, cert, key }: ExtenderTls): object {
  const [caPem, clientCertPem, clientKeyPem] = [ca, cert, key].map(pemOf);
  return {
    ...(caPem === undefined ? {} : { caPem }),
    ...(clientCertPem === undefined ? {} : { clientCertPem, clientKeyPem }),
    ...(serverName === '' ? {} : { serverName }),
    insecureSkipTlsVerify: insecure,
  };
}

function pemOf({ file, data }: Source): string | undefined {
  if (data !== '') return Buffer.from(data, 'base64').toString();
  return file === '' ? undefined : readFileSync(file, 'utf8');
}
