import type { Row } from '../row.ts'; export const podRunning: Row = { name: 'pod-running', inNamespaces: true, run: async () => [] };
