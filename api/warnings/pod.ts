import { tryParseQuantity } from '#api/meta/quantity.ts';
import {
  at,
  listOf,
  memberOf,
  numberOf,
  objectOf,
  objectsOf,
  stringMapOf,
  stringOf,
} from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { ipWarnings } from './address.ts';
import { labelDeprecation, nodeTermWarnings, preferredTermWarnings } from './node-labels.ts';
import { overlapWarnings } from './volume-paths.ts';

/** Kinds of volumes that are no more, and since when (pkg/api/pod/warnings.go). */
const goneVolumes: Readonly<Record<string, string>> = {
  photonPersistentDisk: 'deprecated in v1.11, non-functional in v1.16+',
  gitRepo: 'deprecated in v1.11, and disabled by default in v1.33+',
  scaleIO: 'deprecated in v1.16, non-functional in v1.22+',
  flocker: 'deprecated in v1.22, non-functional in v1.25+',
  storageos: 'deprecated in v1.22, non-functional in v1.25+',
  quobyte: 'deprecated in v1.22, non-functional in v1.25+',
  glusterfs: 'deprecated in v1.25, non-functional in v1.26+',
  cephfs: 'deprecated in v1.28, non-functional in v1.31+',
  rbd: 'deprecated in v1.28, non-functional in v1.31+',
};

/** Fields of the API whose path in these texts is Go's name of them. */
const pathOfVolume: Readonly<Record<string, string>> = { storageos: 'storageOS' };

const sysctls = 'non-functional in v1.11+; use the "sysctls" field instead';

const goneAnnotations: Readonly<Record<string, string>> = {
  'scheduler.alpha.kubernetes.io/critical-pod':
    'non-functional in v1.16+; use the "priorityClassName" field instead',
  'security.alpha.kubernetes.io/sysctls': sysctls,
  'security.alpha.kubernetes.io/unsafe-sysctls': sysctls,
};

const seccompPodAnnotation = 'seccomp.security.alpha.kubernetes.io/pod';
const seccompContainerAnnotation = 'container.seccomp.security.alpha.kubernetes.io/';
const appArmorAnnotation = 'container.apparmor.security.beta.kubernetes.io/';

/** Warnings of a pod, or of a template: its metadata and spec. `base` is where it is (`spec.template.`; '' for a pod). Pure. */
export function podWarnings(pod: JsonObject, base: string): readonly string[] {
  const spec = objectOf(pod['spec']);
  const at = `${base}spec`;
  return [
    ...nodeWarnings(spec, at),
    ...annotationWarnings(pod, base),
    ...volumeWarnings(spec, at),
    ...objectsOf(spec['volumes']).flatMap(overlapWarnings),
    ...duplicates(spec, { list: 'hostAliases', key: 'ip', at }),
    ...duplicates(spec, { list: 'imagePullSecrets', key: 'name', at }),
    ...objectsOf(spec['imagePullSecrets']).flatMap(({ name }, index) =>
      stringOf(name) === '' ? [`${at}.imagePullSecrets[${index}].name: invalid empty name ""`] : [],
    ),
    ...fractions(spec['overhead'], `${at}.overhead`),
    ...podProfileWarnings(pod, base),
    ...containersIn(spec, at).flatMap(({ container, path }) => [
      ...profileWarnings(pod, container, base),
      ...containerWarnings(container, path),
    ]),
    ...portWarnings(spec, at),
    ...portNameWarnings(spec, at),
    ...(numberOf(spec['terminationGracePeriodSeconds']) < 0
      ? [
          `${at}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1`,
        ]
      : []),
    ...['podAffinity', 'podAntiAffinity'].flatMap((name) =>
      termWarnings(objectOf(objectOf(spec['affinity'])[name]), `${at}.affinity.${name}`),
    ),
    ...addressWarnings(spec, at),
  ];
}

/** Of a volume, or of the spec of a PersistentVolume. */
export function goneVolumeWarnings(
  holder: JsonObject,
  path: string,
  untold: ReadonlySet<string> = new Set(),
): readonly string[] {
  return Object.entries(goneVolumes).flatMap(([name, text]) =>
    holder[name] === undefined || untold.has(name)
      ? []
      : [`${path}.${memberOf(pathOfVolume, name) ?? name}: ${text}`],
  );
}

/** Amounts in bytes of a list of resources that are none of whole bytes. */
export function fractions(
  amounts: unknown,
  path: string,
  names: readonly string[] = ['memory', 'ephemeral-storage'],
): readonly string[] {
  return names.flatMap((name) => {
    const text = objectOf(amounts)[name];
    const quantity = tryParseQuantity(text);
    return quantity === undefined || (quantity.nanos / 1_000_000n) % 1000n === 0n
      ? []
      : [`${path}[${name}]: fractional byte value ${JSON.stringify(text)} is invalid, must be an integer`];
  });
}

function nodeWarnings(spec: JsonObject, path: string): readonly string[] {
  const affinity = objectOf(at(spec, 'affinity.nodeAffinity'));
  const required = 'requiredDuringSchedulingIgnoredDuringExecution';
  const preferred = 'preferredDuringSchedulingIgnoredDuringExecution';
  const prefix = `${path}.affinity.nodeAffinity`;
  return [
    ...Object.keys(stringMapOf(spec['nodeSelector'])).flatMap((key) => {
      const text = labelDeprecation(key);
      return text === undefined ? [] : [`${path}.nodeSelector[${key}]: ${text}`];
    }),
    ...objectsOf(at(affinity, [required, 'nodeSelectorTerms'])).flatMap((term, index) =>
      nodeTermWarnings(term, `${prefix}.${required}.nodeSelectorTerms[${index}]`),
    ),
    ...objectsOf(affinity[preferred]).flatMap(({ preference }, index) =>
      preferredTermWarnings(objectOf(preference), `${prefix}.${preferred}[${index}].preference`),
    ),
    ...objectsOf(spec['topologySpreadConstraints']).flatMap((constraint, index) => {
      const where = `${path}.topologySpreadConstraints[${index}]`;
      const key = stringOf(constraint['topologyKey']);
      const text = labelDeprecation(key);
      return [
        ...(text === undefined ? [] : [`${where}.topologyKey: ${key} is ${text}`]),
        ...(constraint['labelSelector'] === undefined ? [`${where}.${noSelector}`] : []),
      ];
    }),
  ];
}

const noSelector = 'labelSelector: a null labelSelector results in matching no pod';

function termWarnings(affinity: JsonObject, path: string): readonly string[] {
  const required = 'requiredDuringSchedulingIgnoredDuringExecution';
  const preferred = 'preferredDuringSchedulingIgnoredDuringExecution';
  return [
    ...objectsOf(affinity[required]).flatMap(({ labelSelector }, index) =>
      labelSelector === undefined ? [`${path}.${required}[${index}].${noSelector}`] : [],
    ),
    ...objectsOf(affinity[preferred]).flatMap((term, index) =>
      at(term, 'podAffinityTerm.labelSelector') === undefined
        ? [`${path}.${preferred}[${index}].podAffinityTerm.${noSelector}`]
        : [],
    ),
  ];
}

function annotationWarnings(pod: JsonObject, path: string): readonly string[] {
  return Object.keys(goneAnnotations).flatMap((key) =>
    annotationWarning(pod, key, { path, text: memberOf(goneAnnotations, key) ?? '' }),
  );
}

function annotationWarning(
  pod: JsonObject,
  key: string,
  { path, text }: { readonly path: string; readonly text: string },
): readonly string[] {
  const annotations = stringMapOf(at(pod, 'metadata.annotations'));
  return annotations[key] === undefined ? [] : [`${path}metadata.annotations[${key}]: ${text}`];
}

const seccompText = 'non-functional in v1.27+; use the "seccompProfile" field instead';
const appArmorText = 'deprecated since v1.30; use the "appArmorProfile" field instead';

const hasProfile = (holder: JsonObject, field: string): boolean =>
  at(holder, ['securityContext', field]) !== undefined;

/** Annotations that say what fields do, where there is no field: that of the pod … */
function podProfileWarnings(pod: JsonObject, path: string): readonly string[] {
  return hasProfile(objectOf(pod['spec']), 'seccompProfile')
    ? []
    : annotationWarning(pod, seccompPodAnnotation, { path, text: seccompText });
}

/** … and those of a container of it. */
function profileWarnings(pod: JsonObject, container: JsonObject, path: string): readonly string[] {
  const name = stringOf(container['name']);
  const holders = [objectOf(pod['spec']), container];
  return [
    ...(hasProfile(container, 'seccompProfile')
      ? []
      : annotationWarning(pod, `${seccompContainerAnnotation}${name}`, { path, text: seccompText })),
    ...(holders.some((holder) => hasProfile(holder, 'appArmorProfile'))
      ? []
      : annotationWarning(pod, `${appArmorAnnotation}${name}`, { path, text: appArmorText })),
  ];
}

function volumeWarnings(spec: JsonObject, path: string): readonly string[] {
  return objectsOf(spec['volumes']).flatMap((volume, index) => {
    const where = `${path}.volumes[${index}]`;
    const claim = objectOf(at(volume, 'ephemeral.volumeClaimTemplate.spec'));
    return [
      ...goneVolumeWarnings(volume, where),
      ...claimSpecWarnings(claim, `${where}.ephemeral.volumeClaimTemplate.spec`),
    ];
  });
}

/** Of a claim, or of the template of one. */
export function claimSpecWarnings(spec: JsonObject, path: string): readonly string[] {
  return ['requests', 'limits'].flatMap((list) =>
    fractions(at(spec, ['resources', list]), `${path}.resources.${list}`, ['storage']),
  );
}

function duplicates(
  spec: JsonObject,
  { list, key, at: path }: { readonly list: string; readonly key: string; readonly at: string },
): readonly string[] {
  const seen = new Set<unknown>();
  return objectsOf(spec[list]).flatMap((item, index) => {
    const value = stringOf(item[key]);
    const isSeen = seen.has(value);
    seen.add(value);
    return isSeen ? [`${path}.${list}[${index}].${key}: duplicate ${key} ${JSON.stringify(value)}`] : [];
  });
}

interface ContainerAt {
  readonly container: JsonObject;
  readonly path: string;
}

function containersIn(spec: JsonObject, path: string): readonly ContainerAt[] {
  return ['initContainers', 'containers', 'ephemeralContainers'].flatMap((list) =>
    objectsOf(spec[list]).map((container, index) => ({ container, path: `${path}.${list}[${index}]` })),
  );
}

function containerWarnings(container: JsonObject, path: string): readonly string[] {
  const seen = new Set<string>();
  const hidden = objectsOf(container['env']).flatMap((variable, index) => {
    const name = stringOf(variable['name']);
    const value = stringOf(variable['value']);
    const reference = `$(${name})`;
    const isSeen = seen.has(name);
    seen.add(name);
    // X="$(X)more" goes on from the one before.
    const goesOn = variable['valueFrom'] === undefined && value !== reference && value.includes(reference);
    return isSeen && !goesOn
      ? [
          `${path}.env[${index}]: hides previous definition of ${JSON.stringify(name)}, which may be dropped when using apply`,
        ]
      : [];
  });
  const amounts = ['memory', 'ephemeral-storage'].flatMap((name) =>
    ['limits', 'requests'].flatMap((list) =>
      fractions(at(container, ['resources', list]), `${path}.resources.${list}`, [name]),
    ),
  );
  return [...amounts, ...hidden];
}

interface PortAt {
  readonly path: string;
  readonly hostIp: string;
  readonly hostPort: number;
}

/** Ports of all containers that are, or may be, the same. */
function portWarnings(spec: JsonObject, path: string): readonly string[] {
  const known = new Map<string, PortAt[]>();
  return containersIn(spec, path).flatMap(({ container, path: where }) =>
    objectsOf(container['ports']).flatMap((port, index) => {
      const { name, protocol, hostIP } = stringMapOf(port);
      const hostPort = numberOf(port['hostPort']);
      const one: PortAt = { path: `${where}.ports[${index}]`, hostIp: hostIP ?? '', hostPort };
      const containerPort = numberOf(port['containerPort']);
      const key = `${containerPort}/${protocol ?? ''}`;
      const others = known.get(key) ?? [];
      known.set(key, [...others, one]);
      const shown = `{Name:${name ?? ''} HostPort:0 ContainerPort:${containerPort} Protocol:${protocol ?? ''} HostIP:${one.hostIp}}`;
      return [
        ...(one.hostIp !== '' && hostPort === 0
          ? [`${one.path}: hostIP set without hostPort: ${shown}`]
          : []),
        ...others.flatMap((other) => overlapOf(one, other)),
      ];
    }),
  );
}

/** Names of ports, which are known by the pod. */
function portNameWarnings(spec: JsonObject, path: string): readonly string[] {
  const known = new Map<string, string>();
  return containersIn(spec, path).flatMap(({ container, path: where }) =>
    objectsOf(container['ports']).flatMap((port, index) => {
      const [name, place] = [stringOf(port['name']), `${where}.ports[${index}]`];
      const other = known.get(name);
      if (name !== '' && other === undefined) known.set(name, place);
      return other === undefined
        ? []
        : [
            `${place}: duplicate port name ${JSON.stringify(name)} with ${other}, services and probes that select ports by name will use ${other}`,
          ];
    }),
  );
}

function addressWarnings(spec: JsonObject, path: string): readonly string[] {
  return [
    ...listOf(at(spec, 'dnsConfig.nameservers')).flatMap((server, index) =>
      ipWarnings(stringOf(server), `${path}.dnsConfig.nameservers[${index}]`),
    ),
    ...objectsOf(spec['hostAliases']).flatMap(({ ip }, index) =>
      ipWarnings(stringOf(ip), `${path}.hostAliases[${index}].ip`),
    ),
  ];
}

function overlapOf(one: PortAt, other: PortAt): readonly string[] {
  const isOnePort = one.hostPort === other.hostPort;
  if (isOnePort && one.hostIp === other.hostIp)
    return [`${one.path}: duplicate port definition with ${other.path}`];
  if (one.hostPort === 0 || other.hostPort === 0)
    return [`${one.path}: overlapping port definition with ${other.path}`];
  const isAnywhere = (one.hostIp === '') !== (other.hostIp === '');
  return isOnePort && isAnywhere
    ? [`${one.path}: dangerously ambiguous port definition with ${other.path}`]
    : [];
}
