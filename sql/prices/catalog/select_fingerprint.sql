-- The configuration that the catalog was last brought in line with.
SELECT fingerprint FROM catalog_state;
