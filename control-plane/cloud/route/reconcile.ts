import { describeError } from '#base/errors.ts';
import type { Cidr } from '#base/ip.ts';
import { withCondition, findCondition } from '#api/meta/condition.ts';
import { equalJson } from '#api/wire/json.ts';
import { nodes } from '#api/schema/kind-ref.ts';
import type { Node } from '#api/generated/objects.ts';
import { isNotFound } from '#client/api-error.ts';
import { runController, source, type Controller } from '#client/controller.ts';
import type { CloudRoutes } from '#control-plane/cloud/cloud.ts';
import { makeMsMax, type CloudContext } from '#control-plane/cloud/cloud-context.ts';
import { planCondition, planRoutes, podCidrsOf } from './plan.ts';

export interface RouteSettings {
  /** `--cluster-cidr`: routes elsewhere are others'. */
  readonly clusterCidrs: readonly Cidr[];
  /** `--route-reconciliation-period` */
  readonly periodMs: number;
}

/** Calls of the cloud that are under way at once. */
const atOnceMax = 20;
const all = 'routes';

/** Keeps a route of the cloud to each node's pods, and says on the node whether it is there (RouteController of k8s.io/cloud-provider). */
export function runCloudRoutes(
  context: CloudContext,
  routes: CloudRoutes,
  { clusterCidrs, periodMs }: RouteSettings,
): Controller {
  const { informers, clock, logger } = context;
  const informer = informers.for(nodes);
  const recorder = context.recorder('route_controller');
  let lookedAtMs = -Infinity;
  /** What changed since needs no period to pass. */
  let isDirty = true;

  const create = async (plan: ReturnType<typeof planRoutes>['create'][number], signal: AbortSignal) => {
    const { node, route } = plan;
    const hint = node.metadata?.uid ?? '';
    try {
      await routes.create(route, hint, signal);
      return undefined;
    } catch (error) {
      const name = node.metadata?.name ?? '';
      const why = describeError(error);
      const message = `Could not create route ${hint} ${route.destination} for node ${name}: ${why}`;
      recorder.record({ kind: nodes, object: node }, 'Warning', 'FailedToCreateRoute', message);
      logger.warn({ node: name, route: route.destination, error: why }, 'route not made');
      return name;
    }
  };
  return runController({
    name: 'node-route-controller',
    ...{ clock, logger, concurrencyMax: 1, timeoutMs: makeMsMax },
    sources: [
      source(informer, ({ old, current }) => {
        if (equalJson(routedBy(old), routedBy(current))) return [];
        isDirty = true;
        return [all];
      }),
    ],
    reconcile: async (_, signal) => {
      const leftMs = lookedAtMs + periodMs - clock.monotonic();
      if (!isDirty && leftMs > 0) return { kind: 'again', afterMs: leftMs };
      isDirty = false;
      lookedAtMs = clock.monotonic();
      const there = informer.list();
      const plan = planRoutes(there, await routes.list(signal), clusterCidrs);
      await inTurns(plan.remove, async (route) => {
        try {
          await routes.delete(route, signal);
        } catch (error) {
          logger.warn({ route: route.destination, error: describeError(error) }, 'route not removed');
        }
      });
      const failed = await inTurns(plan.create, (one) => create(one, signal));
      for (const node of there)
        await writeCondition(context, node, !failed.includes(node.metadata?.name ?? ''));
      return { kind: 'again', afterMs: periodMs };
    },
  });
}

const routedBy = (node: Node | undefined): unknown =>
  node === undefined ? undefined : [podCidrsOf(node), node.status?.addresses, node.metadata?.uid];

/** A few at a time. */
async function inTurns<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<readonly R[]> {
  const done: R[] = [];
  for (let at = 0; at < items.length; at += atOnceMax)
    done.push(...(await Promise.all(items.slice(at, at + atOnceMax).map(work))));
  return done;
}

async function writeCondition(
  { client, informers, clock }: CloudContext,
  node: Node,
  areAllThere: boolean,
): Promise<void> {
  const planned = planCondition(node, areAllThere);
  if (planned === undefined) return;
  const { name = '', uid } = node.metadata ?? {};
  const all = withCondition(node.status?.conditions, planned, clock.now());
  const condition = findCondition(all, planned.type);
  try {
    const body = { metadata: { uid }, status: { conditions: [condition] } };
    const written = await client.patch(nodes, { name }, { kind: 'strategic', body, subresource: 'status' });
    informers.for(nodes).observe(written);
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}
