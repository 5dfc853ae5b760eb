<?php
// Loaded by opcache.preload.
function howdah_test_preloaded(): string
{
    return 'preloaded by ' . PHP_SAPI;
}
