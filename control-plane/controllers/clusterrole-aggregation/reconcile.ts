import { clusterRoles } from '#api/schema/kind-ref.ts';
import { equalJson } from '#api/wire/json.ts';
import { runController, source, type Controller } from '#client/controller.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { aggregatedRules } from './plan.ts';

/** Gives each ClusterRole with an aggregation rule the rules of those that it is made of. */
export function runClusterRoleAggregation(context: ControllerContext): Controller {
  const { informers, client, clock, logger } = context;
  const roles = informers.for(clusterRoles);
  const made = (): readonly string[] =>
    roles
      .list()
      .filter(({ aggregationRule }) => aggregationRule !== undefined)
      .map(({ metadata }) => metadata?.name ?? '');
  return runController({
    name: 'clusterrole-aggregation-controller',
    clock,
    logger,
    // Any role may be, or may have been, a part of any of those, which are few.
    sources: [source(roles, made)],
    reconcile: async (name) => {
      const role = roles.get(name);
      if (role === undefined || role.metadata?.deletionTimestamp !== undefined) return;
      const rules = aggregatedRules(role, roles.list());
      if (rules === undefined || equalJson(rules, role.rules ?? [])) return;
      roles.observe(await client.update(clusterRoles, { ...role, rules }));
    },
  });
}
