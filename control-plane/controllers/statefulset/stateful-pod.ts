import { persistentVolumeClaims, statefulSets } from '#api/schema/kind-ref.ts';
import { isActive } from '#api/pod/state.ts';
import { objectOf } from '#api/wire/json.ts';
import type {
  ControllerRevision,
  PersistentVolumeClaim,
  Pod,
  PodTemplateSpec,
  StatefulSet,
} from '#api/generated/objects.ts';
import { podFromTemplate } from '#control-plane/controllers/pods/pod-from-template.ts';
import { ordinalOf, ordinalsOf, revisionLabel } from './plan.ts';

/** The pod of an ordinal: its name, host name and claims stay the same over its lives. */
export function statefulPod(
  statefulSet: StatefulSet,
  template: PodTemplateSpec,
  { ordinal, revision }: { readonly ordinal: number; readonly revision: string },
): Pod {
  const { metadata } = podFromTemplate(statefulSets, statefulSet, template);
  const name = `${statefulSet.metadata?.name ?? ''}-${ordinal}`;
  const spec = template.spec ?? { containers: [] };
  const claims = claimsOf(statefulSet, ordinal).map(({ template: claim, name: claimName }) => ({
    name: claim,
    persistentVolumeClaim: { claimName },
  }));
  const own = new Set(claims.map((volume) => volume.name));
  const volumes = [...(spec.volumes ?? []).filter((volume) => !own.has(volume.name)), ...claims];
  const { serviceName } = statefulSet.spec ?? {};
  return {
    metadata: {
      ...metadata,
      name,
      labels: {
        ...metadata?.labels,
        ...identityLabels(name, ordinal),
        [revisionLabel]: revision,
      },
    },
    spec: {
      ...spec,
      hostname: name,
      ...(serviceName === undefined || serviceName === '' ? {} : { subdomain: serviceName }),
      ...(volumes.length === 0 ? {} : { volumes }),
    },
  };
}

/** By these labels Services lead to one pod. */
function identityLabels(name: string, ordinal: number): Readonly<Record<string, string>> {
  return { 'statefulset.kubernetes.io/pod-name': name, 'apps.kubernetes.io/pod-index': String(ordinal) };
}

/** The pods that stay and have lost a label of their identity, with those that each is to have again. */
export function planIdentities(
  statefulSet: StatefulSet,
  pods: readonly Pod[],
): readonly { readonly pod: Pod; readonly labels: Readonly<Record<string, string>> }[] {
  const wanted = new Set(ordinalsOf(statefulSet));
  return pods.filter(isActive).flatMap((pod) => {
    const labels = identityLabels(pod.metadata?.name ?? '', ordinalOf(pod));
    const isSame = Object.entries(labels).every(([key, value]) => pod.metadata?.labels?.[key] === value);
    return isSame || !wanted.has(ordinalOf(pod)) ? [] : [{ pod, labels }];
  });
}

/** The claims that the pod of an ordinal needs; they outlive it. */
export function statefulClaims(statefulSet: StatefulSet, ordinal: number): readonly PersistentVolumeClaim[] {
  const labels = statefulSet.spec?.selector.matchLabels;
  return claimsOf(statefulSet, ordinal).map(({ claim, name }) => ({
    apiVersion: 'v1',
    kind: persistentVolumeClaims.kind,
    metadata: {
      name,
      namespace: statefulSet.metadata?.namespace,
      labels: { ...claim.metadata?.labels, ...labels },
      annotations: claim.metadata?.annotations,
    },
    spec: claim.spec,
  }));
}

/** Whether a claim of that name is one of the set's pods'. */
export function isClaimOf(statefulSet: StatefulSet, claimName: string): boolean {
  return (statefulSet.spec?.volumeClaimTemplates ?? []).some((claim) => {
    const prefix = `${claim.metadata?.name ?? ''}-${statefulSet.metadata?.name ?? ''}-`;
    return claimName.startsWith(prefix) && /^\d+$/.test(claimName.slice(prefix.length));
  });
}

/** The template that a revision holds. */
export function templateOf(revision: ControllerRevision | undefined): PodTemplateSpec | undefined {
  const template = objectOf(objectOf(revision?.data)['spec'])['template'];
  if (template === undefined) return undefined;
  const { $patch: _patch, ...rest } = objectOf(template);
  return rest;
}

function claimsOf(statefulSet: StatefulSet, ordinal: number) {
  return (statefulSet.spec?.volumeClaimTemplates ?? []).map((claim) => {
    const template = claim.metadata?.name ?? '';
    return { claim, template, name: `${template}-${statefulSet.metadata?.name ?? ''}-${ordinal}` };
  });
}
