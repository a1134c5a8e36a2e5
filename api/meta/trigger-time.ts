/** When the change happened that a write of endpoints tells of, RFC 3339; whoever programs a network measures from then. */
export const triggerTimeAnnotation = 'endpoints.kubernetes.io/last-change-trigger-time';
