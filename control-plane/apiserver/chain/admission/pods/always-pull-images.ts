import { notSupportedField, renderFieldError, type FieldError } from '#api/errors/field-error.ts';
import { bareError } from '#api/errors/status.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, nameOrPrefix, objectOf, objectsOf, withPath } from '#api/wire/json.ts';
import type {
  AdmissionPlugin,
  AdmissionRequest,
} from '#control-plane/apiserver/chain/admission/admission.ts';
import { containerLists, updatesPod, writesPod } from './pod.ts';

/**
 * Images are pulled before each start, so that nobody runs one that another pod brought to the node without being let to pull it
 * (plugin/pkg/admission/alwayspullimages). An update that brings no other image leaves the policies as they are.
 */
export const alwaysPullImages: AdmissionPlugin = {
  name: 'AlwaysPullImages',
  handles: (attributes) => (writesPod(attributes) ? 'atOnce' : 'no'),
  admit: (_context, request) => (bringsNoImage(request) ? undefined : withPolicies(objectOf(request.object))),
  validate: (_context, request) => {
    if (bringsNoImage(request)) return;
    const errors = policyErrors(objectOf(request.object));
    if (errors.length === 0) return;
    const name = JSON.stringify(nameOrPrefix(objectOf(request.object)));
    const texts = errors.map(
      (error) => `pods ${name} is forbidden: ${error.field}: ${renderFieldError(error)}`,
    );
    throw bareError(texts.length === 1 ? texts.join('') : `[${texts.join(', ')}]`);
  },
};

function bringsNoImage({ attributes, object, old }: AdmissionRequest): boolean {
  if (!updatesPod(attributes)) return false;
  const known = new Set(imagesOf(old));
  return imagesOf(object).every((image) => known.has(image));
}

function imagesOf(pod: JsonObject | undefined): readonly unknown[] {
  return containerLists.flatMap((list) => objectsOf(at(pod, ['spec', list])).map(({ image }) => image));
}

function withPolicies(pod: JsonObject): JsonObject {
  const pulling = containerLists.reduce((next, list) => {
    const containers = objectsOf(at(next, ['spec', list]));
    if (containers.every(({ imagePullPolicy }) => imagePullPolicy === 'Always')) return next;
    return withPath(
      next,
      ['spec', list],
      containers.map((container) => ({ ...container, imagePullPolicy: 'Always' })),
    );
  }, pod);
  const volumes = objectsOf(at(pulling, 'spec.volumes'));
  if (volumes.every((volume) => isPulledVolume(volume))) return pulling;
  return withPath(
    pulling,
    'spec.volumes',
    volumes.map((volume) =>
      isPulledVolume(volume)
        ? volume
        : { ...volume, image: { ...objectOf(volume['image']), pullPolicy: 'Always' } },
    ),
  );
}

/** Whether the volume is none of an image, or of one that is always pulled. */
function isPulledVolume({ image }: JsonObject): boolean {
  return image === undefined || at(image, 'pullPolicy') === 'Always';
}

function policyErrors(pod: JsonObject): readonly FieldError[] {
  const ofContainers = containerLists.flatMap((list) =>
    objectsOf(at(pod, ['spec', list])).flatMap(({ imagePullPolicy }, index) =>
      imagePullPolicy === 'Always'
        ? []
        : [notSupportedField(`spec.${list}[${index}].imagePullPolicy`, imagePullPolicy, ['Always'])],
    ),
  );
  const ofVolumes = objectsOf(at(pod, 'spec.volumes')).flatMap((volume, index) =>
    isPulledVolume(volume)
      ? []
      : [
          notSupportedField(`spec.volumes[${index}].image.pullPolicy`, at(volume, 'image.pullPolicy'), [
            'Always',
          ]),
        ],
  );
  return [...ofContainers, ...ofVolumes];
}
