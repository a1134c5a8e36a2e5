import { X509Certificate } from 'node:crypto';
import { PodwrightError } from '#base/errors.ts';

const prefix = 'system:node:';

/**
 * Which node this is. The certificate says so to the server, whatever a flag says: under another name the node would look like
 * one of two. Credentials that are no node's (a token, an administrator's) leave it to the flag.
 * @throws E_USAGE when flag and certificate disagree, or neither says; E_INVALID for a certificate that cannot be read
 */
export function nodeNameOf(
  certPem: string | undefined,
  { nodeName, credentials }: { readonly nodeName?: string | undefined; readonly credentials: string },
): string {
  const commonName = certPem === undefined || certPem === '' ? '' : commonNameOf(certPem, credentials);
  const own = commonName.startsWith(prefix) ? commonName.slice(prefix.length) : undefined;
  if (own !== undefined && nodeName !== undefined && own !== nodeName) {
    throw new PodwrightError(
      'E_USAGE',
      `start agent --node-name ${nodeName}: the credentials in ${credentials} are those of node ${own}; leave --node-name out, or have the server write credentials for ${nodeName} (podwright server --node ${nodeName}=IP) and give those`,
    );
  }
  const name = own ?? nodeName;
  if (name === undefined || name === '') {
    throw new PodwrightError(
      'E_USAGE',
      `start agent: the credentials in ${credentials} are no node's, and do not say which one this is; give --node-name NAME`,
    );
  }
  return name;
}

function commonNameOf(certPem: string, credentials: string): string {
  try {
    const { CN } = new X509Certificate(certPem).toLegacyObject().subject;
    return String(Array.isArray(CN) ? CN[0] : (CN ?? ''));
  } catch (cause) {
    throw new PodwrightError('E_INVALID', `read the client certificate in ${credentials}: it is none`, {
      cause,
    });
  }
}
