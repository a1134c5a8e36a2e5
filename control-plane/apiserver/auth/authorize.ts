import type { User } from '#control-plane/apiserver/request.ts';

/** What is to be done, in the words of an authorizer. */
export type Attributes =
  | {
      readonly kind: 'resource';
      readonly user: User;
      readonly verb: string;
      readonly group: string;
      readonly resource: string;
      readonly subresource: string;
      readonly namespace: string;
      readonly name: string;
    }
  | { readonly kind: 'path'; readonly user: User; readonly verb: string; readonly path: string };

export interface Decision {
  readonly allowed: boolean;
  readonly reason: string;
}

/** What anybody may ask, as the ClusterRole system:public-info-viewer says. */
const publicPaths: ReadonlySet<string> = new Set(['/healthz', '/livez', '/readyz', '/version', '/version/']);

/** The one place that decides who may do what. For now whoever is authenticated may do everything. */
export function authorize(attributes: Attributes): Decision {
  if (attributes.user.groups.includes('system:authenticated')) return { allowed: true, reason: '' };
  const isPublic =
    attributes.kind === 'path' && attributes.verb === 'get' && publicPaths.has(attributes.path);
  return { allowed: isPublic, reason: '' };
}

/** `User "bob" cannot get resource "pods/log" in API group "" in the namespace "default"` */
export function describeDenial(attributes: Attributes): string {
  const who = `User ${JSON.stringify(attributes.user.name)}`;
  if (attributes.kind === 'path')
    return `${who} cannot ${attributes.verb} path ${JSON.stringify(attributes.path)}`;
  const { verb, group, resource, subresource, namespace } = attributes;
  const what = JSON.stringify(subresource === '' ? resource : `${resource}/${subresource}`);
  const where = namespace === '' ? 'at the cluster scope' : `in the namespace ${JSON.stringify(namespace)}`;
  return `${who} cannot ${verb} resource ${what} in API group ${JSON.stringify(group)} ${where}`;
}
