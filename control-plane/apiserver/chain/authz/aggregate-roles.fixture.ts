import type { ClusterRole } from '#api/generated/objects.ts';
import type { TestServer } from '#control-plane/apiserver/test-server.fixture.ts';
import { aggregatedRules } from '#control-plane/controllers/clusterrole-aggregation/plan.ts';

/** What the controller does, on servers of which none runs: again, as edit is a part of admin. */
export async function aggregateRoles(call: TestServer['call']): Promise<void> {
  const path = '/apis/rbac.authorization.k8s.io/v1/clusterroles';
  for (let round = 0; round < 3; round++) {
    const { json } = await call('GET', path);
    const roles = json['items'] as unknown as readonly ClusterRole[];
    for (const role of roles) {
      const rules = aggregatedRules(role, roles);
      if (rules === undefined) continue;
      await call('PUT', `${path}/${role.metadata?.name ?? ''}`, { body: { ...role, rules } });
    }
  }
}
