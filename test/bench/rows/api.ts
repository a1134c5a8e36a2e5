import type { Row } from '../row.ts'; export const api: Row = { name: 'api', inNamespaces: true, run: async () => [] };
