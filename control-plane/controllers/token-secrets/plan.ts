import type { Secret, ServiceAccount } from '#api/generated/objects.ts';
import { accountNameKey, accountUidKey } from '#api/meta/token-secret.ts';

/** What is to become of a Secret of that type. */
export type SecretPlan =
  | { readonly kind: 'nothing' }
  /** Its account has gone, or is another one of that name. */
  | { readonly kind: 'remove' }
  /** `token`: whether one has to be made. */
  | { readonly kind: 'fill'; readonly account: ServiceAccount; readonly needsToken: boolean };

/** The account that a Secret is of; '' for none. */
export function accountOf({ metadata }: Secret): { readonly name: string; readonly uid: string } {
  const { annotations = {} } = metadata ?? {};
  return { name: annotations[accountNameKey] ?? '', uid: annotations[accountUidKey] ?? '' };
}

/** Whether the Secret is the account's: by name, and by uid where it says one. */
export function isTokenOf(secret: Secret, { metadata }: ServiceAccount): boolean {
  const { name, uid } = accountOf(secret);
  return (
    metadata?.namespace === secret.metadata?.namespace &&
    metadata?.name === name &&
    (uid === '' || uid === metadata?.uid)
  );
}

/** As kube-controller-manager's tokens controller. @param account the one of that name, if it is there */
export function planTokenSecret(
  secret: Secret,
  account: ServiceAccount | undefined,
  rootCaPem: string,
): SecretPlan {
  if (secret.metadata?.deletionTimestamp !== undefined) return { kind: 'nothing' };
  if (account === undefined || !isTokenOf(secret, account)) return { kind: 'remove' };
  const { data = {} } = secret;
  const needsToken = (data['token'] ?? '') === '';
  const isFull = !needsToken && (data['namespace'] ?? '') !== '' && data['ca.crt'] === base64(rootCaPem);
  return isFull ? { kind: 'nothing' } : { kind: 'fill', account, needsToken };
}

/** The Secret with what it lacks. @param token undefined where it has one */
export function filledSecret(
  secret: Secret,
  {
    account,
    token,
    rootCaPem,
  }: { readonly account: ServiceAccount; readonly token: string | undefined; readonly rootCaPem: string },
): Secret {
  const { name = '', namespace = '', uid = '' } = account.metadata ?? {};
  const { data = {}, metadata } = secret;
  return {
    ...secret,
    metadata: {
      ...metadata,
      annotations: { ...metadata?.annotations, [accountNameKey]: name, [accountUidKey]: uid },
    },
    data: {
      ...data,
      'ca.crt': base64(rootCaPem),
      ...((data['namespace'] ?? '') === '' ? { namespace: base64(namespace) } : {}),
      ...(token === undefined ? {} : { token: base64(token) }),
    },
  };
}

/** The account without a Secret that has gone; undefined where it does not name it. */
export function withoutReference(account: ServiceAccount, secretName: string): ServiceAccount | undefined {
  const { secrets = [] } = account;
  const others = secrets.filter(({ name }) => name !== secretName);
  return others.length === secrets.length ? undefined : { ...account, secrets: others };
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
