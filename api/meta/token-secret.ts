/** Secrets in which the token of a service account lies, and which account that is (core/v1 types.go). */
export const tokenSecretType = 'kubernetes.io/service-account-token';
export const accountNameKey = 'kubernetes.io/service-account.name';
export const accountUidKey = 'kubernetes.io/service-account.uid';
/** Their labels: the day of the last use, and since when the token is not taken (KEP 2799). */
export const lastUsedLabel = 'kubernetes.io/legacy-token-last-used';
export const invalidSinceLabel = 'kubernetes.io/legacy-token-invalid-since';
