<?php
// Spends a long time inside one internal function, where PHP's VM cannot interrupt it.
hash_pbkdf2('sha512', 'password', 'salt', 50000000);
echo 'through';
