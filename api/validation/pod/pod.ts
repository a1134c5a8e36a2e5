import { forbiddenField, invalidField, requiredField, type FieldError } from '#api/errors/field-error.ts';
import { at, isObject, objectOf, objectsOf, stringMapOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { choiceErrors, rangeErrors } from '#api/validation/field.ts';
import { dnsLabel, dnsSubdomain, formatErrors, type Format } from '#api/validation/format.ts';
import { annotationErrors, labelErrors } from '#api/validation/labels.ts';
import { affinityErrors } from './affinity.ts';
import { podAnnotationErrors, profileMatchErrors } from './annotations.ts';
import { imageErrors, type ContainerContext } from './container.ts';
import { containerErrors, placedContainers } from './containers.ts';
import { aliasErrors, dnsErrors } from './dns.ts';
import { fileVolumeErrors } from './env.ts';
import { podClaimErrors, podResourceErrors, resourceErrors } from './resources.ts';
import { hostnameErrors, hostUsersErrors, podSecurityErrors } from './security.ts';
import { spreadErrors } from './spread.ts';
import { gateErrors, readinessErrors, tolerationErrors } from './tolerations.ts';
import { checkVolumes } from './volumes.ts';
import { hostProcessErrors, systemErrors } from './windows.ts';

/** Complaints about a pod (validatePodMetadataAndSpec); causes are in upstream's order, as in all of this folder. */
export function validatePod(pod: JsonObject): readonly FieldError[] {
  const spec = objectOf(pod['spec']);
  const name = stringOf(at(pod, 'metadata.name'));
  const labels = new Set(Object.keys(stringMapOf(at(pod, 'metadata.labels'))));
  return [
    ...podAnnotationErrors(at(pod, 'metadata.annotations'), spec, 'metadata.annotations'),
    ...validatePodSpec(spec, 'spec', { name, labels }),
    ...accountErrors(spec),
    ...['containers', 'initContainers'].flatMap((list) =>
      objectsOf(spec[list]).flatMap((container, index) => imageErrors(container, `spec.${list}[${index}]`)),
    ),
  ];
}

/** Complaints about a new pod only. */
export function validateNewPod(pod: JsonObject): readonly FieldError[] {
  const spec = objectOf(pod['spec']);
  const isGated = stringOf(spec['nodeName']) !== '' && objectsOf(spec['schedulingGates']).length > 0;
  return [
    ...(objectsOf(spec['ephemeralContainers']).length > 0
      ? [forbiddenField('spec.ephemeralContainers', 'cannot be set on create')]
      : []),
    ...(isGated
      ? [forbiddenField('spec.nodeName', 'cannot be set until all schedulingGates have been cleared')]
      : []),
    ...profileMatchErrors(at(pod, 'metadata.annotations'), spec, 'spec'),
  ];
}

/** A token is that of a service account. */
function accountErrors(spec: JsonObject): readonly FieldError[] {
  if (stringOf(spec['serviceAccountName']) !== '') return [];
  const detail = 'must not be specified when serviceAccountName is not set';
  return objectsOf(spec['volumes']).flatMap((volume, index) =>
    objectsOf(at(volume, 'projected.sources')).flatMap(({ serviceAccountToken }, source) => {
      const field = `spec.volumes[${index}].projected.sources[${source}].serviceAccountToken`;
      return serviceAccountToken === undefined ? [] : [forbiddenField(field, detail)];
    }),
  );
}

/** Complaints about the template of a pod at `path` (ValidatePodTemplateSpec); the places of its metadata are upstream's. */
export function validateTemplate(template: JsonObject, path: string): readonly FieldError[] {
  const spec = objectOf(template['spec']);
  const annotations = at(template, 'metadata.annotations');
  return [
    ...templateMetaErrors(template, path),
    ...validatePodSpec(spec, `${path}.spec`),
    ...profileMatchErrors(annotations, spec, `${path}.spec`),
    ...(objectsOf(spec['ephemeralContainers']).length > 0
      ? [
          forbiddenField(
            `${path}.spec.ephemeralContainers`,
            'ephemeral containers not allowed in pod template',
          ),
        ]
      : []),
  ];
}

/** Of its labels and annotations. */
export function templateMetaErrors(template: JsonObject, path: string): readonly FieldError[] {
  const { labels, annotations } = objectOf(template['metadata']);
  return [
    ...labelErrors(labels, `${path}.labels`),
    ...annotationErrors(annotations, `${path}.annotations`),
    ...podAnnotationErrors(annotations, objectOf(template['spec']), `${path}.annotations`),
  ];
}

/** What is known of a pod beside its spec. */
interface PodFacts {
  readonly name: string;
  /** The keys of its labels. */
  readonly labels: ReadonlySet<string>;
}

/** Of the PodGroup that it is of. */
function groupErrors(group: unknown, path: string): readonly FieldError[] {
  if (!isObject(group)) return [];
  const name = stringOf(group['podGroupName']);
  return name === ''
    ? [invalidField(path, '', 'must specify one of: `podGroupName`')]
    : formatErrors(`${path}.podGroupName`, name, dnsSubdomain);
}

/** Complaints about the spec of a pod, or of a template, at `path` (ValidatePodSpec). */
function validatePodSpec(spec: JsonObject, path: string, pod?: PodFacts): readonly FieldError[] {
  const { errors, volumes } = checkVolumes(objectsOf(spec['volumes']), `${path}.volumes`, pod?.name ?? '');
  const names = objectsOf(spec['resourceClaims']).map(({ name }) => stringOf(name));
  const claims = new Set(names.filter((name) => name !== ''));
  const context: ContainerContext = { spec, volumes, claims };
  const placed = placedContainers(spec, path);
  return [
    ...(spec['terminationGracePeriodSeconds'] === undefined
      ? [requiredField(`${path}.terminationGracePeriodSeconds`)]
      : []),
    ...errors,
    ...podClaimErrors(objectsOf(spec['resourceClaims']), `${path}.resourceClaims`),
    ...containerErrors(context, path),
    ...podResourceErrors(spec, `${path}.resources`, claims),
    ...hostNetworkErrors(spec, path, pod !== undefined),
    ...choiceErrors(`${path}.restartPolicy`, spec['restartPolicy'], restartPolicies),
    ...choiceErrors(`${path}.dnsPolicy`, spec['dnsPolicy'], dnsPolicies),
    ...labelErrors(spec['nodeSelector'], `${path}.nodeSelector`),
    ...podSecurityErrors(spec, `${path}.securityContext`),
    ...affinityErrors(objectOf(spec['affinity']), `${path}.affinity`, pod?.labels),
    ...dnsErrors(spec, `${path}.dnsConfig`),
    ...readinessErrors(spec, path),
    ...gateErrors(spec, path),
    ...spreadErrors(spec, path, pod?.labels),
    ...hostProcessErrors(spec, path, placed),
    ...hostUsersErrors(spec, path, placed),
    ...hostnameErrors(spec, path),
    ...nameErrors(spec, path, ['serviceAccountName', 'nodeName'], dnsSubdomain),
    ...groupErrors(spec['schedulingGroup'], `${path}.schedulingGroup`),
    ...rangeErrors(`${path}.activeDeadlineSeconds`, spec['activeDeadlineSeconds'], [1, 2 ** 31 - 1]),
    ...nameErrors(spec, path, ['hostname', 'subdomain'], dnsLabel),
    ...tolerationErrors(objectsOf(spec['tolerations']), `${path}.tolerations`),
    ...aliasErrors(spec, path),
    ...nameErrors(spec, path, ['priorityClassName'], dnsSubdomain),
    ...classErrors(spec, path),
    ...(isObject(spec['overhead'])
      ? resourceErrors({ limits: spec['overhead'] }, `${path}.overhead`, new Set())
      : []),
    ...systemErrors(spec, path, placed),
    ...fileVolumeErrors(placed, objectsOf(spec['volumes'])),
  ];
}

/** The values in the order in which kube-apiserver names them. */
const restartPolicies = ['Always', 'OnFailure', 'Never'];
const dnsPolicies = ['ClusterFirstWithHostNet', 'ClusterFirst', 'Default', 'None'];

/** In the network of its node a port is the node's; a template may leave it to the pod's defaults (validatePodHostNetworkDeps). */
function hostNetworkErrors(spec: JsonObject, path: string, isPod: boolean): readonly FieldError[] {
  if (spec['hostNetwork'] !== true) return [];
  const detail = 'must match `containerPort` when `hostNetwork` is true';
  return objectsOf(spec['containers']).flatMap((container, index) =>
    objectsOf(container['ports']).flatMap(({ hostPort = 0, containerPort = 0 }, place) =>
      hostPort === containerPort || (hostPort === 0 && !isPod)
        ? []
        : [invalidField(`${path}.containers[${index}].ports[${place}].hostPort`, hostPort, detail)],
    ),
  );
}

function nameErrors(
  spec: JsonObject,
  path: string,
  names: readonly string[],
  format: Format,
): readonly FieldError[] {
  return names.flatMap((name) => {
    const text = stringOf(spec[name]);
    return text === '' ? [] : formatErrors(`${path}.${name}`, text, format);
  });
}

function classErrors(spec: JsonObject, path: string): readonly FieldError[] {
  const { runtimeClassName, preemptionPolicy } = spec;
  return [
    ...(runtimeClassName === undefined
      ? []
      : formatErrors(`${path}.runtimeClassName`, stringOf(runtimeClassName), dnsSubdomain)),
    ...(preemptionPolicy === undefined
      ? []
      : choiceErrors(`${path}.preemptionPolicy`, preemptionPolicy, ['PreemptLowerPriority', 'Never'])),
  ];
}
