import { at, withPath } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import type {
  AdmissionPlugin,
  AdmissionRequest,
} from '#control-plane/apiserver/chain/admission/admission.ts';
import { annotation, defaultClass } from '#control-plane/apiserver/chain/admission/default-class.ts';
import { makes } from '#control-plane/apiserver/chain/admission/made.ts';

const claims = builtIn('', 'v1', 'persistentvolumeclaims');
const classes = builtIn('storage.k8s.io', 'v1', 'storageclasses');
const marks = [
  'storageclass.kubernetes.io/is-default-class',
  'storageclass.beta.kubernetes.io/is-default-class',
];

/** A claim that names no class gets the default one; one that names '' wants a volume of none. */
export const defaultStorageClass: AdmissionPlugin = {
  name: 'DefaultStorageClass',
  handles: (attributes) => (makes(claims, attributes) ? 'mayWait' : 'no'),
  admit: admitClaim,
};

async function admitClaim(
  context: ServerContext,
  { object: claim = {} }: AdmissionRequest,
): Promise<JsonObject | undefined> {
  const path = 'spec.storageClassName';
  const asked = annotation(claim, 'volume.beta.kubernetes.io/storage-class') ?? at(claim, path);
  if (asked !== undefined) return undefined;
  const name = await defaultClass(context, classes, marks);
  return name === undefined ? undefined : withPath(claim, path, name);
}
