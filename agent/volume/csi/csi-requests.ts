/** What drivers are asked, made of what the API says (kubernetes pkg/volume/csi). Pure. */
import type { CSIDriver, Pod } from '#api/generated/objects.ts';
import type { ServiceAccountToken } from '#agent/volume/volume.ts';

/** What a driver is told of the pod, where it asks for that (podInfoOnMount). */
export function podContext(
  driver: CSIDriver | undefined,
  { metadata, spec }: Pod,
  isEphemeral: boolean,
): Readonly<Record<string, string>> {
  if (driver?.spec.podInfoOnMount !== true) return {};
  return {
    'csi.storage.k8s.io/pod.name': metadata?.name ?? '',
    'csi.storage.k8s.io/pod.namespace': metadata?.namespace ?? '',
    'csi.storage.k8s.io/pod.uid': metadata?.uid ?? '',
    'csi.storage.k8s.io/serviceAccount.name': spec?.serviceAccountName ?? 'default',
    'csi.storage.k8s.io/ephemeral': String(isEphemeral),
  };
}

export const tokensKey = 'csi.storage.k8s.io/serviceAccount.tokens';

/** Tokens by audience, as JSON. */
export function renderTokens(
  tokens: readonly (ServiceAccountToken & { readonly audience: string })[],
): string {
  const byAudience = tokens.map(({ audience, token, expirationTimestamp }) => [
    audience,
    { token, expirationTimestamp },
  ]);
  return JSON.stringify(Object.fromEntries(byAudience));
}

/** What becomes of fsGroup: the driver does it, we do, or nobody (fsGroupPolicy of CSIDriver). */
export function groupWay(input: {
  readonly policy: string | undefined;
  readonly isByDriver: boolean;
  readonly fsType: string | undefined;
  readonly accessModes: readonly string[];
  readonly isReadOnly: boolean;
}): 'driver' | 'walk' | 'none' {
  if (input.isByDriver) return 'driver';
  if (input.isReadOnly) return 'none';
  switch (input.policy ?? 'ReadWriteOnceWithFSType') {
    case 'None':
      return 'none';
    case 'File':
      return 'walk';
    default: {
      const isOne = input.accessModes.some((mode) => mode === 'ReadWriteOnce' || mode === 'ReadWriteOncePod');
      return (input.fsType ?? '') !== '' && isOne ? 'walk' : 'none';
    }
  }
}
