import { nodes } from '#api/schema/kind-ref.ts';
import { runController, source, type Controller } from '#client/controller.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { nextStep, saysTtl, ttlAnnotation, ttlSecondsOf } from './plan.ts';

/** Tells nodes by an annotation how long they may go by what they read, by how many there are. */
export function runNodeTtl(context: ControllerContext): Controller {
  const { informers, client, clock, logger } = context;
  const informer = informers.for(nodes);
  let nodeCount = 0;
  let step = 0;
  return runController({
    name: 'ttl-controller',
    clock,
    logger,
    sources: [
      source(informer, ({ key, old, current }) => {
        if (old === undefined) nodeCount++;
        if (current === undefined) nodeCount--;
        const before = step;
        step = nextStep(step, nodeCount);
        return step === before ? [key] : informer.list().map(({ metadata }) => metadata?.name ?? '');
      }),
    ],
    reconcile: async (name) => {
      const node = informer.get(name);
      const ttlSeconds = ttlSecondsOf(step);
      if (node === undefined || saysTtl(node.metadata?.annotations?.[ttlAnnotation], ttlSeconds)) return;
      const body = { metadata: { annotations: { [ttlAnnotation]: String(ttlSeconds) } } };
      informer.observe(await client.patch(nodes, { name }, { kind: 'strategic', body }));
    },
  });
}
