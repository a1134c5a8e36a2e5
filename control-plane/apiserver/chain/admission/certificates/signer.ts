import type { Kind } from '#api/schema/kinds.ts';
import type { Authorizer } from '#control-plane/apiserver/chain/authz/authorizer.ts';
import type { User } from '#control-plane/apiserver/serve/request.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';

export const group = 'certificates.k8s.io';
export const signingRequests: Kind = builtIn(group, 'v1', 'certificatesigningrequests');
/** Of servers that serve them. */
export const podRequests: Kind = builtIn(group, 'v1beta1', 'podcertificaterequests');

/**
 * Whether somebody may do this with what the signer signs, or with what all signers of its domain do: `example.com/*`
 * (kubernetes pkg/certauthorization).
 */
export async function maySign(
  { authorizer }: { readonly authorizer: Authorizer },
  { user, verb, signer }: { readonly user: User; readonly verb: string; readonly signer: string },
): Promise<boolean> {
  const [domain = ''] = signer.split('/');
  for (const name of [signer, `${domain}/*`]) {
    const { decision } = await authorizer.decide({
      ...{ kind: 'resource', user, verb, group, version: '*', resource: 'signers', subresource: '' },
      ...{ namespace: '', name },
    });
    if (decision === 'allow') return true;
  }
  return false;
}
