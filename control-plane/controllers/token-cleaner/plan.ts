import type { Pod, Secret, ServiceAccount } from '#api/generated/objects.ts';
import { invalidSinceLabel, lastUsedLabel, tokenSecretType } from '#api/meta/token-secret.ts';
import { isTokenOf } from '#control-plane/controllers/token-secrets/plan.ts';
import { referencesOf } from '#api/pod/references.ts';

const dayMs = 86_400_000;
/** As kube-controller-manager's --legacy-service-account-token-clean-up-period: a year. */
export const cleanUpDefaultMs: number = 365 * dayMs;

export interface CleaningFacts {
  readonly nowMs: number;
  /** The day since when uses are noted (`since` of the ConfigMap), undefined where nobody knows. */
  readonly trackedSince: string | undefined;
  readonly secrets: readonly Secret[];
  readonly accounts: readonly ServiceAccount[];
  readonly pods: readonly Pod[];
  /** How long a token is kept that nobody uses; default: a year. */
  readonly cleanUpMs?: number | undefined;
}

/** Tokens to mark as no longer taken, and those that were marked for as long again, to remove (KEP 2799). */
export interface CleaningPlan {
  readonly invalid: readonly Secret[];
  readonly removed: readonly Secret[];
}

/**
 * Of Secrets that were made for an account by the cluster (it names them), that no pod mounts, and that were neither made nor used within
 * the period: those alone are surely nobody's. Nothing before uses were noted for that long.
 */
export function planCleaning({
  nowMs,
  trackedSince,
  secrets,
  accounts,
  pods,
  cleanUpMs = cleanUpDefaultMs,
}: CleaningFacts): CleaningPlan {
  const none = { invalid: [], removed: [] };
  const trackedMs = dayOf(trackedSince);
  if (trackedMs === undefined || nowMs < trackedMs + dayMs + cleanUpMs) return none;
  const before = formatDay(nowMs - cleanUpMs);
  const mounted = new Set(
    pods.flatMap((pod) => [...referencesOf(pod)].map((what) => `${pod.metadata?.namespace}/${what}`)),
  );
  const isUnused = (secret: Secret): boolean => {
    const {
      creationTimestamp = '',
      deletionTimestamp,
      labels = {},
      namespace,
      name = '',
    } = secret.metadata ?? {};
    if (secret.type !== tokenSecretType || deletionTimestamp !== undefined) return false;
    if (!(Date.parse(creationTimestamp) < nowMs - cleanUpMs)) return false;
    const used = labels[lastUsedLabel];
    if (used !== undefined && (dayOf(used) === undefined || used >= before)) return false;
    const account = accounts.find((one) => isTokenOf(secret, one));
    const isNamed = account?.secrets?.some((reference) => reference.name === name) === true;
    return isNamed && !mounted.has(`${namespace}/secrets/${name}`);
  };
  const unused = secrets.filter(isUnused);
  const invalidSince = ({ metadata }: Secret): string | undefined => {
    const day = metadata?.labels?.[invalidSinceLabel];
    return dayOf(day) === undefined ? undefined : day;
  };
  return {
    invalid: unused.filter((secret) => invalidSince(secret) === undefined),
    removed: unused.filter((secret) => (invalidSince(secret) ?? before) < before),
  };
}

/** `2026-11-29`, of which day it is in UTC. */
export function formatDay(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

function dayOf(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{4}-\d{2}-\d{2}$/.test(text)) return undefined;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms;
}
