import { daemonSet, deployment, replicaSet, statefulSet } from './apps/workloads.fixture.ts';
import { clusterRole, clusterRoleBinding, role, roleBinding } from './rbac/roles.fixture.ts';
import { lease, priorityClass, runtimeClass } from './scheduling/classes.fixture.ts';
import { configMap, namespace, secret, serviceAccount } from './core/config.fixture.ts';
import { limitRange, resourceQuota } from './core/limits.fixture.ts';
import { service } from './core/service.fixture.ts';
import { endpoints, endpointSlice } from './discovery/endpoints.fixture.ts';
import { ingress } from './networking/ingress.fixture.ts';
import { networkPolicy } from './networking/network-policy.fixture.ts';
import { podDisruptionBudget } from './policy/disruption-budget.fixture.ts';
import { csiDriver, ingressClass, storageClass, volumeAttributesClass } from './storage/classes.fixture.ts';
import type { RuleTable } from './rule-table.fixture.ts';

/** The tables there are, in the order of docs/validation.md. */
export const ruleTables: readonly RuleTable[] = [
  limitRange,
  resourceQuota,
  configMap,
  secret,
  namespace,
  serviceAccount,
  service,
  endpoints,
  endpointSlice,
  ingress,
  networkPolicy,
  podDisruptionBudget,
  deployment,
  replicaSet,
  statefulSet,
  daemonSet,
  priorityClass,
  lease,
  runtimeClass,
  role,
  clusterRole,
  roleBinding,
  clusterRoleBinding,
  storageClass,
  csiDriver,
  volumeAttributesClass,
  ingressClass,
];
