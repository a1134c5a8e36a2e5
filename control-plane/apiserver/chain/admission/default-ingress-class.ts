import { at, withPath } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts';
import { annotation, defaultClass } from './default-class.ts';
import { makes } from './made.ts';

const ingresses = builtIn('networking.k8s.io', 'v1', 'ingresses');
const classes = builtIn('networking.k8s.io', 'v1', 'ingressclasses');
const marks = ['ingressclass.kubernetes.io/is-default-class'];

/** An Ingress that names no class, in the field or in the older annotation, gets the default one. */
export const defaultIngressClass: AdmissionPlugin = {
  name: 'DefaultIngressClass',
  handles: (attributes) => (makes(ingresses, attributes) ? 'mayWait' : 'no'),
  admit: admitIngress,
};

async function admitIngress(
  context: ServerContext,
  { object: ingress = {} }: AdmissionRequest,
): Promise<JsonObject | undefined> {
  const path = 'spec.ingressClassName';
  const asked = annotation(ingress, 'kubernetes.io/ingress.class') ?? at(ingress, path);
  if (asked !== undefined) return undefined;
  const name = await defaultClass(context, classes, marks);
  return name === undefined ? undefined : withPath(ingress, path, name);
}
