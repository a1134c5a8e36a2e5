import type { Volume } from '#api/generated/objects.ts';
import { procMount, seccompFields } from './baseline.ts';
import {
  containersOf,
  counted,
  plural,
  quoted,
  search,
  sortedSet,
  unlessHostUsers,
  unlessWindows,
  whoSets,
  type Check,
  type Control,
} from './control.ts';

const allowPrivilegeEscalation: Check = ({ spec }) => {
  const found = search(spec, {
    ofContainer: ({ securityContext }) =>
      securityContext?.allowPrivilegeEscalation === false ? [] : ['true'],
  });
  return (
    found && {
      reason: 'allowPrivilegeEscalation != false',
      detail: `${whoSets(found)} must set securityContext.allowPrivilegeEscalation=false`,
    }
  );
};

const capabilities: Check = ({ spec }) => {
  const keeping = search(spec, {
    ofContainer: ({ securityContext }) =>
      securityContext?.capabilities?.drop?.includes('ALL') === true ? [] : ['ALL'],
  });
  const adding = search(spec, {
    ofContainer: ({ securityContext }) =>
      (securityContext?.capabilities?.add ?? []).filter((name) => name !== 'NET_BIND_SERVICE'),
  });
  const details = [
    ...(keeping === undefined
      ? []
      : [`${whoSets(keeping)} must set securityContext.capabilities.drop=["ALL"]`]),
    ...(adding === undefined
      ? []
      : [`${whoSets(adding)} must not include ${quoted(adding.values)} in securityContext.capabilities.add`]),
  ];
  return details.length === 0
    ? undefined
    : { reason: 'unrestricted capabilities', detail: details.join('; ') };
};

/** What holds only what the API or a claim gives. */
const allowedVolumes = [
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'image',
  'persistentVolumeClaim',
  'projected',
  'secret',
] as const satisfies readonly (keyof Volume)[];

const restrictedVolumes: Check = ({ spec: { volumes = [] } }) => {
  const bad = volumes.filter((volume) => allowedVolumes.every((type) => volume[type] === undefined));
  if (bad.length === 0) return undefined;
  const types = sortedSet(bad.map(typeOfVolume));
  const names = bad.map(({ name }) => name);
  const uses = names.length === 1 ? 'uses' : 'use';
  return {
    reason: 'restricted volume types',
    detail: `${counted('volume', names)} ${uses} ${counted('restricted volume type', types)}`,
  };
};

function typeOfVolume(volume: Volume): string {
  const { name: _name, ...sources } = volume;
  const [type] = Object.entries(sources).flatMap(([key, source]) => (source === undefined ? [] : [key]));
  return type ?? 'unknown';
}

const runAsNonRoot: Check = ({ spec }) => {
  const found = search(spec, {
    ofPod: (context) => (context.runAsNonRoot === false ? ['false'] : []),
    ofContainer: ({ securityContext }) => (securityContext?.runAsNonRoot === false ? ['false'] : []),
  });
  const reason = 'runAsNonRoot != true';
  if (found !== undefined) {
    return { reason, detail: `${whoSets(found)} must not set securityContext.runAsNonRoot=false` };
  }
  if (spec.securityContext?.runAsNonRoot === true) return undefined;
  const silent = containersOf(spec)
    .filter(({ securityContext }) => securityContext?.runAsNonRoot === undefined)
    .map(({ name }) => name);
  return silent.length === 0
    ? undefined
    : { reason, detail: `pod or ${counted('container', silent)} must set securityContext.runAsNonRoot=true` };
};

const runAsUser: Check = ({ spec }) => {
  const found = search(spec, {
    ofPod: (context) => (context.runAsUser === 0 ? ['0'] : []),
    ofContainer: ({ securityContext }) => (securityContext?.runAsUser === 0 ? ['0'] : []),
  });
  return found && { reason: 'runAsUser=0', detail: `${whoSets(found)} must not set runAsUser=0` };
};

/** A profile is asked for, by the pod or by each container. */
const seccompProfile: Check = (pod) => {
  const explicit = seccompFields(pod);
  const { securityContext } = pod.spec;
  if (explicit !== undefined || securityContext?.seccompProfile !== undefined) return explicit;
  const silent = containersOf(pod.spec)
    .filter((container) => container.securityContext?.seccompProfile === undefined)
    .map(({ name }) => name);
  const wanted = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"';
  return silent.length === 0
    ? undefined
    : {
        reason: 'seccompProfile',
        detail: `pod or ${plural('container', silent)} ${quoted(silent)} ${wanted}`,
      };
};

/** What restricted asks for beyond baseline. */
export const restrictedControls: readonly Control[] = [
  {
    id: 'allowPrivilegeEscalation',
    level: 'restricted',
    versions: [
      { since: 8, check: allowPrivilegeEscalation },
      { since: 25, check: unlessWindows(allowPrivilegeEscalation) },
    ],
  },
  {
    id: 'capabilities_restricted',
    level: 'restricted',
    versions: [
      { since: 22, check: capabilities, overrides: ['capabilities_baseline'] },
      { since: 25, check: unlessWindows(capabilities), overrides: ['capabilities_baseline'] },
    ],
  },
  {
    id: 'procMount_restricted',
    level: 'restricted',
    versions: [{ since: 35, check: procMount, overrides: ['procMount'] }],
  },
  {
    id: 'restrictedVolumes',
    level: 'restricted',
    versions: [{ since: 0, check: restrictedVolumes, overrides: ['hostPathVolumes'] }],
  },
  {
    id: 'runAsNonRoot',
    level: 'restricted',
    versions: [
      { since: 0, check: runAsNonRoot },
      { since: 35, check: unlessHostUsers(runAsNonRoot) },
    ],
  },
  {
    id: 'runAsUser',
    level: 'restricted',
    versions: [
      { since: 23, check: runAsUser },
      { since: 35, check: unlessHostUsers(runAsUser) },
    ],
  },
  {
    id: 'seccompProfile_restricted',
    level: 'restricted',
    versions: [
      { since: 19, check: seccompProfile, overrides: ['seccompProfile_baseline'] },
      { since: 25, check: unlessWindows(seccompProfile), overrides: ['seccompProfile_baseline'] },
    ],
  },
];
