<?php
echo function_exists('howdah_test_preloaded') ? howdah_test_preloaded() : 'not preloaded';
