import type { LifecycleHandler, Probe, SELinuxOptions } from '#api/generated/objects.ts';
import {
  containersOf,
  counted,
  plural,
  quoted,
  search,
  sortedSet,
  unlessHostUsers,
  whoSets,
  type AnyContainer,
  type Check,
  type Control,
} from './control.ts';
import { hostNamespaces, hostPathVolumes, hostPorts, sysctls } from './host.ts';

/** Profiles of AppArmor and seccomp that confine. */
const confining: ReadonlySet<string> = new Set(['RuntimeDefault', 'Localhost']);

export function unconfined(profile: { readonly type: string } | undefined): readonly string[] {
  return profile === undefined || confining.has(profile.type) ? [] : [profile.type];
}

const appArmorAnnotation = 'container.apparmor.security.beta.kubernetes.io/';

const appArmorProfile: Check = ({ annotations, spec }) => {
  const found = search(spec, {
    ofPod: (context) => unconfined(context.appArmorProfile),
    ofContainer: ({ securityContext }) => unconfined(securityContext?.appArmorProfile),
  });
  const inAnnotations = Object.entries(annotations)
    .filter(([key, value]) => key.startsWith(appArmorAnnotation) && !isConfiningAppArmor(value))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .toSorted();
  if (found === undefined && inAnnotations.length === 0) return undefined;
  const values = [...(found?.values ?? []), ...inAnnotations];
  const setters = [
    ...(found === undefined ? [] : [whoSets(found)]),
    ...(inAnnotations.length > 0 ? [plural('annotation', inAnnotations)] : []),
  ];
  return {
    reason: plural('forbidden AppArmor profile', values),
    detail: `${setters.join(' and ')} must not set AppArmor profile type to ${quoted(values)}`,
  };
};

function isConfiningAppArmor(value: string): boolean {
  return value === '' || value === 'runtime/default' || value.startsWith('localhost/');
}

/** Those that containers have unless told otherwise, without NET_RAW. */
const defaultCapabilities: ReadonlySet<string> = new Set([
  'AUDIT_WRITE',
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'FSETID',
  'KILL',
  'MKNOD',
  'NET_BIND_SERVICE',
  'SETFCAP',
  'SETGID',
  'SETPCAP',
  'SETUID',
  'SYS_CHROOT',
]);

const capabilities: Check = ({ spec }) => {
  const found = search(spec, {
    ofContainer: ({ securityContext }) =>
      (securityContext?.capabilities?.add ?? []).filter((name) => !defaultCapabilities.has(name)),
  });
  return (
    found && {
      reason: 'non-default capabilities',
      detail: `${whoSets(found)} must not include ${quoted(found.values)} in securityContext.capabilities.add`,
    }
  );
};

const privileged: Check = ({ spec }) => {
  const found = search(spec, {
    ofContainer: ({ securityContext }) => (securityContext?.privileged === true ? ['true'] : []),
  });
  return (
    found && {
      reason: 'privileged',
      detail: `${whoSets(found)} must not set securityContext.privileged=true`,
    }
  );
};

export const procMount: Check = ({ spec }) => {
  const found = search(spec, {
    ofContainer: ({ securityContext }) =>
      [securityContext?.procMount ?? 'Default'].filter((type) => type !== 'Default'),
  });
  return (
    found && {
      reason: 'procMount',
      detail: `${whoSets(found)} must not set securityContext.procMount to ${quoted(found.values)}`,
    }
  );
};

const windowsHostProcess: Check = ({ spec }) => {
  const found = search(spec, {
    ofPod: ({ windowsOptions }) => (windowsOptions?.hostProcess === true ? ['true'] : []),
    ofContainer: ({ securityContext }) =>
      securityContext?.windowsOptions?.hostProcess === true ? ['true'] : [],
  });
  return (
    found && {
      reason: 'hostProcess',
      detail: `${whoSets(found)} must not set securityContext.windowsOptions.hostProcess=true`,
    }
  );
};

function seLinuxOptions(allowedTypes: readonly string[]): Check {
  return ({ spec }) => {
    const badTypes = ({ type = '' }: SELinuxOptions): readonly string[] =>
      type === '' || allowedTypes.includes(type) ? [] : [type];
    const badOptions = (options: SELinuxOptions = {}): readonly string[] => [
      ...badTypes(options).map((type) => `type ${type}`),
      ...(['user', 'role'] as const).filter((name) => (options[name] ?? '') !== ''),
    ];
    const found = search(spec, {
      ofPod: (context) => badOptions(context.seLinuxOptions),
      ofContainer: ({ securityContext }) => badOptions(securityContext?.seLinuxOptions),
    });
    if (found === undefined) return undefined;
    const types = found.values.flatMap((value) => (value.startsWith('type ') ? [value.slice(5)] : []));
    const data = [
      ...(types.length > 0 ? [counted('type', types)] : []),
      ...['user', 'role']
        .filter((name) => found.values.includes(name))
        .map((name) => `${name} may not be set`),
    ];
    return {
      reason: 'seLinuxOptions',
      detail: `${whoSets(found)} set forbidden securityContext.seLinuxOptions: ${data.join('; ')}`,
    };
  };
}

const seLinuxTypes: readonly string[] = ['container_t', 'container_init_t', 'container_kvm_t'];

const seccompOfPod = 'seccomp.security.alpha.kubernetes.io/pod';
const seccompOfContainer = 'container.seccomp.security.alpha.kubernetes.io/';

/** Before there was a field. */
const seccompAnnotations: Check = ({ annotations, spec }) => {
  const keys = [seccompOfPod, ...containersOf(spec).map(({ name }) => `${seccompOfContainer}${name}`)];
  const bad = sortedSet(
    keys.flatMap((key) => {
      const value = Object.hasOwn(annotations, key) ? annotations[key] : undefined;
      return value === undefined || isConfiningSeccomp(value) ? [] : [`${key}=${JSON.stringify(value)}`];
    }),
  );
  return bad.length === 0
    ? undefined
    : { reason: 'seccompProfile', detail: `forbidden ${plural('annotation', bad)} ${bad.join(', ')}` };
};

function isConfiningSeccomp(value: string): boolean {
  return value === 'runtime/default' || value === 'docker/default' || value.startsWith('localhost/');
}

/** Explicitly another profile than those that confine. */
export const seccompFields: Check = ({ spec }) => {
  const found = search(spec, {
    ofPod: (context) => unconfined(context.seccompProfile),
    ofContainer: ({ securityContext }) => unconfined(securityContext?.seccompProfile),
  });
  return (
    found && {
      reason: 'seccompProfile',
      detail: `${whoSets(found)} must not set securityContext.seccompProfile.type to ${quoted(found.values)}`,
    }
  );
};

/** Probes and hooks that go elsewhere have the node ask in the pod's stead. */
const hostProbes: Check = ({ spec }) => {
  const found = search(spec, { ofContainer: hostsAsked });
  if (found === undefined) return undefined;
  const names = sortedSet(found.containers);
  const uses = names.length === 1 ? 'uses' : 'use';
  return {
    reason: 'probe or lifecycle host',
    detail: `${counted('container', names)} ${uses} ${counted('probe or lifecycle host', found.values)}`,
  };
};

function hostsAsked({
  livenessProbe,
  readinessProbe,
  startupProbe,
  lifecycle,
}: AnyContainer): readonly string[] {
  const handlers: readonly (Probe | LifecycleHandler | undefined)[] = [
    ...[livenessProbe, readinessProbe, startupProbe],
    ...[lifecycle?.postStart, lifecycle?.preStop],
  ];
  return handlers
    .flatMap((handler) => [handler?.httpGet?.host ?? '', handler?.tcpSocket?.host ?? ''])
    .filter((host) => host !== '');
}

/** What keeps a pod of level baseline from the node. */
export const baselineControls: readonly Control[] = [
  { id: 'appArmorProfile', level: 'baseline', versions: [{ since: 0, check: appArmorProfile }] },
  { id: 'capabilities_baseline', level: 'baseline', versions: [{ since: 0, check: capabilities }] },
  { id: 'hostNamespaces', level: 'baseline', versions: [{ since: 0, check: hostNamespaces }] },
  { id: 'hostPathVolumes', level: 'baseline', versions: [{ since: 0, check: hostPathVolumes }] },
  { id: 'hostPorts', level: 'baseline', versions: [{ since: 0, check: hostPorts }] },
  { id: 'hostProbesAndHostLifecycle', level: 'baseline', versions: [{ since: 34, check: hostProbes }] },
  { id: 'privileged', level: 'baseline', versions: [{ since: 0, check: privileged }] },
  {
    id: 'procMount',
    level: 'baseline',
    versions: [
      { since: 0, check: procMount },
      { since: 35, check: unlessHostUsers(procMount) },
    ],
  },
  {
    id: 'seLinuxOptions',
    level: 'baseline',
    versions: [
      { since: 0, check: seLinuxOptions(seLinuxTypes) },
      { since: 31, check: seLinuxOptions([...seLinuxTypes, 'container_engine_t']) },
    ],
  },
  {
    id: 'seccompProfile_baseline',
    level: 'baseline',
    versions: [
      { since: 0, check: seccompAnnotations },
      { since: 19, check: seccompFields },
    ],
  },
  {
    id: 'sysctls',
    level: 'baseline',
    versions: [0, 27, 29, 32].map((since) => ({ since, check: sysctls(since) })),
  },
  { id: 'windowsHostProcess', level: 'baseline', versions: [{ since: 0, check: windowsHostProcess }] },
];
