import type { Clock } from '#base/clock.ts';
import type { ClientCertificate } from '#control-plane/apiserver/serve/request.ts';
import { refused, type Authenticator, type Finding } from './authenticator.ts';
import { certificateOf, judgeBy, type CurrentBundle } from './client-certificate.ts';
import { authenticated, credentialId } from './groups.ts';

/** Clients by a certificate of one of the authorities: CN is the user, each O a group (apiserver authentication/request/x509). */
export function x509Authenticator(bundle: CurrentBundle, clock: Pick<Clock, 'now'>): Authenticator {
  const judge = judgeBy(bundle, clock);
  const findings = new WeakMap<ClientCertificate, Finding>();
  const findingOf = (certificate: ClientCertificate, problem: string): Finding => {
    if (problem !== '') return refused(problem);
    if (!findings.has(certificate)) findings.set(certificate, userOf(certificate));
    return findings.get(certificate);
  };
  return {
    name: 'x509',
    authenticate: (request) => {
      const certificate = certificateOf(request);
      if (certificate === undefined || bundle() === undefined) return undefined;
      const problem = judge(certificate);
      return typeof problem === 'string'
        ? findingOf(certificate, problem)
        : problem.then((found) => findingOf(certificate, found));
    },
  };
}

/** The user of a connection: the same for all its requests. */
function userOf({ commonName, organizations, uids, fingerprint }: ClientCertificate): Finding {
  if (commonName === '') return undefined;
  const [uid] = uids;
  if (uids.length > 1) return refused(`expected 1 UID, but found multiple: [${uids.join(' ')}]`);
  if (uid === '') return refused('UID cannot be an empty string');
  return {
    user: {
      name: commonName,
      ...(uid === undefined ? {} : { uid }),
      groups: organizations.includes(authenticated) ? organizations : [...organizations, authenticated],
      extra: { [credentialId]: [`X509SHA256=${fingerprint}`] },
    },
  };
}
