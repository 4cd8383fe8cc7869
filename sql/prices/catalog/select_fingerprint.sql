-- The fingerprint of the configuration that was last written to the catalog.
SELECT fingerprint FROM catalog_state;
