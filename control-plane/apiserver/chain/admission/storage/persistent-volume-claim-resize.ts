import { forbidden } from '#api/errors/status.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { tryParseQuantity } from '#api/meta/quantity.ts';
import { at, stringOf } from '#api/wire/json.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import type {
  AdmissionPlugin,
  AdmissionRequest,
} from '#control-plane/apiserver/chain/admission/admission.ts';
import { annotation } from '#control-plane/apiserver/chain/admission/default-class.ts';
import { changes } from '#control-plane/apiserver/chain/admission/made.ts';

const claims = builtIn('', 'v1', 'persistentvolumeclaims');
const classes = builtIn('storage.k8s.io', 'v1', 'storageclasses');

/** Claims grow where their class lets them (plugin/pkg/admission/storage/persistentvolume/resize). */
export const persistentVolumeClaimResize: AdmissionPlugin = {
  name: 'PersistentVolumeClaimResize',
  handles: (attributes) => (changes(claims, attributes) ? 'seldomWaits' : 'no'),
  mustWait: grows,
  validate: async ({ registry }, request) => {
    if (!grows(request)) return;
    const { attributes, object, old } = request;
    const refuse = (cause: string): Error => forbidden(claims, attributes.name, cause);
    if (at(old, 'status.phase') !== 'Bound')
      throw refuse('Only bound persistent volume claims can be expanded');
    const name = classOf(object);
    const found = name === '' || name !== classOf(old) ? undefined : await registry.read(classes, '', name);
    if (found?.object['allowVolumeExpansion'] === true) return;
    throw refuse(
      'only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize',
    );
  },
};

function grows({ object, old }: AdmissionRequest): boolean {
  const storageOf = (claim: unknown): bigint =>
    tryParseQuantity(at(claim, 'spec.resources.requests.storage'))?.nanos ?? 0n;
  return storageOf(object) > storageOf(old);
}

/** The annotation was first. */
function classOf(claim: JsonObject = {}): string {
  const annotated = annotation(claim, 'volume.beta.kubernetes.io/storage-class');
  return stringOf(annotated ?? at(claim, 'spec.storageClassName'));
}
